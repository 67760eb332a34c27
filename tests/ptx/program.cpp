#include "tests/ptx/program.h"

#include <cstdlib>
#include <cstring>
#include <sstream>

namespace ptx {
namespace {

std::string trimmed(const std::string &s) {
    const size_t first = s.find_first_not_of(" \t\r"), last = s.find_last_not_of(" \t\r");
    return first == std::string::npos ? "" : s.substr(first, last - first + 1);
}

bool starts_with(const std::string &s, const char *with) { return s.compare(0, std::strlen(with), with) == 0; }

// Bytes of a type such as u32 or b8.
unsigned bytes_of(const std::string &type) {
    const unsigned bits = unsigned(std::strtoul(type.c_str() + 1, nullptr, 10));
    if (type.size() < 2 || !std::strchr("busf", type[0]) || bits % 8 != 0 || bits == 0) throw Fault{"unknown type " + type};
    return bits / 8;
}

// Reads the body of one kernel.
class Reader {
public:
    explicit Reader(Kernel *k) : kernel_(*k) {}
    void parameter(const std::string &declaration) {
        const Variable v = variable(declaration, kernel_.param_bytes);
        kernel_.params.push_back({v.at, v.bytes});
        kernel_.param_bytes = v.at + v.bytes;
    }
    void statement(const std::string &s, unsigned line) {
        if (starts_with(s, ".reg")) return; // registers are made as they are met
        if (starts_with(s, ".pragma")) return;
        if (starts_with(s, ".shared")) kernel_.shared_bytes = end_of(variable(s, kernel_.shared_bytes));
        else if (starts_with(s, ".local")) kernel_.local_bytes = end_of(variable(s, kernel_.local_bytes));
        else instruction(s, line);
    }
    void label(const std::string &name) { labels_[name] = kernel_.code.size(); }
    void finish() {
        for (Instruction &i : kernel_.code) {
            if (i.kind != Kind::BRANCH) continue;
            const auto found = labels_.find(i.label);
            if (found == labels_.end()) throw Fault{kernel_.name + " branches to an unknown " + i.label};
            i.target = found->second;
        }
        kernel_.registers = registers_;
    }

private:
    struct Variable {
        size_t at, bytes;
    };
    static size_t end_of(const Variable &v) { return v.at + v.bytes; }

    // ".shared .align 4 .b8 name[100]" or ".param .u32 name", placed behind `end`.
    Variable variable(const std::string &declaration, size_t end) {
        std::istringstream words(declaration);
        std::string word, name;
        size_t align = 0, bytes = 1;
        while (words >> word) {
            if (word == ".align") words >> align;
            else if (word[0] != '.') name = word;
            else if (word != ".param" && word != ".shared" && word != ".local") bytes = bytes_of(word.substr(1));
        }
        const size_t bracket = name.find('[');
        if (align == 0) align = bytes;
        if (bracket != std::string::npos) bytes *= std::strtoul(name.c_str() + bracket + 1, nullptr, 10);
        const size_t at = (end + align - 1) / align * align;
        variables_[name.substr(0, bracket)] = at;
        return {at, bytes};
    }

    int constant(uint64_t value) {
        const auto found = constants_.find(value);
        if (found != constants_.end()) return found->second;
        kernel_.constants.emplace_back(registers_, value);
        return constants_[value] = registers_++;
    }
    int named(const std::string &name) {
        const auto found = names_.find(name);
        if (found != names_.end()) return found->second;
        if (name.find('.') != std::string::npos) kernel_.special.emplace_back(registers_, name);
        return names_[name] = registers_++;
    }
    // A register, an immediate or a variable.
    int operand(const std::string &s) {
        if (s.empty()) throw Fault{"an operand is missing"};
        if (s[0] == '%') return named(s);
        if (starts_with(s, "0f") || starts_with(s, "0d")) return constant(std::strtoull(s.c_str() + 2, nullptr, 16));
        if (s[0] == '-') return constant(uint64_t(std::strtoll(s.c_str(), nullptr, 0)));
        if (std::isdigit(s[0])) return constant(std::strtoull(s.c_str(), nullptr, 0));
        const auto found = variables_.find(s);
        if (found == variables_.end()) throw Fault{"unknown operand " + s};
        return constant(found->second);
    }
    // "[base+offset]"
    void address(const std::string &s, Instruction *i) {
        const size_t plus = s.find('+');
        const std::string inner = s.substr(1, s.size() - 2);
        i->address = operand(plus == std::string::npos ? inner : s.substr(1, plus - 1));
        if (plus != std::string::npos) i->offset = std::strtoll(s.c_str() + plus + 1, nullptr, 10);
    }

    void instruction(std::string s, unsigned line) {
        Instruction i;
        i.text = s, i.line = line;
        if (s[0] == '@') {
            const size_t space = s.find_first_of(" \t");
            i.guard_negated = s[1] == '!';
            i.guard = named(s.substr(i.guard_negated ? 2 : 1, space - (i.guard_negated ? 2 : 1)));
            s = trimmed(s.substr(space));
        }
        const size_t space = s.find_first_of(" \t");
        const std::string name = s.substr(0, space), rest = space == std::string::npos ? "" : trimmed(s.substr(space));
        kind_of(name, &i);
        operands(rest, &i);
        if (i.kind == Kind::ARITHMETIC && !i.operation) i.operation = moved(name, i);
        if (i.kind == Kind::ARITHMETIC && !i.operation) throw Fault{"unknown instruction " + name};
        kernel_.signals = kernel_.signals || i.kind == Kind::SIGNAL;
        kernel_.code.push_back(i);
    }
    // mov between a register and its parts.
    static Operation moved(const std::string &name, const Instruction &i) {
        if (!starts_with(name, "mov.")) return nullptr;
        const unsigned bits = 8 * bytes_of(name.substr(4)), parts = unsigned(i.to.size() > 1 ? i.to.size() : i.from.size());
        const unsigned width = bits / parts;
        return [=](Register *r, const Instruction &in, uint32_t mask) {
            for (unsigned l = 0; l < LANES; l++) {
                if (!(mask >> l & 1)) continue;
                uint64_t all = 0;
                for (size_t k = 0; k < in.from.size(); k++)
                    all |= (r[in.from[k]][l] & low(bits / in.from.size())) << k * width % 64;
                for (size_t k = 0; k < in.to.size(); k++) r[in.to[k]][l] = all >> k * width % 64 & low(bits / in.to.size());
            }
        };
    }
    static uint64_t low(uint64_t bits) { return bits >= 64 ? ~uint64_t(0) : (uint64_t(1) << bits) - 1; }

    static void kind_of(const std::string &name, Instruction *i) {
        const std::vector<std::string> words = split(name, '.');
        const std::string &first = words[0];
        if (is_signal(name, i)) i->kind = Kind::SIGNAL, i->bytes = 4;
        else if (first == "ld" || first == "st") {
            i->kind = first == "ld" ? Kind::LOAD : Kind::STORE;
            for (const std::string &w : words) {
                if (w == "shared") i->space = Space::SHARED;
                else if (w == "local") i->space = Space::LOCAL;
                else if (w == "param") i->space = Space::PARAM;
                else if (w == "acquire" || w == "release") throw Fault{"unknown instruction " + name};
            }
            i->bytes = bytes_of(words.back());
            i->is_signed = words.back()[0] == 's';
        } else if (first == "bra") i->kind = Kind::BRANCH;
        else if (first == "ret" || first == "exit") i->kind = Kind::RETURN;
        else if (name == "prefetch.global.L2") i->kind = Kind::PREFETCH;
        else if (name == "nanosleep.u32") i->kind = Kind::SLEEP;
        else if (name == "griddepcontrol.wait") i->kind = Kind::FOLLOW;
        else if (name == "griddepcontrol.launch_dependents") i->kind = Kind::LEAD;
        else if (name == "bar.sync") i->kind = Kind::BARRIER;
        else if (name == "bar.warp.sync") i->kind = Kind::WARP_BARRIER;
        else if (name == "shfl.sync.bfly.b32") i->kind = Kind::SHUFFLE;
        else if (name == "ldmatrix.sync.aligned.m8n8.x4.shared.b16") i->kind = Kind::MATRIX_LOAD, i->space = Space::SHARED;
        else if (name == "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32" ||
                 name == "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32")
            i->kind = Kind::MATRIX_PRODUCT;
        else i->operation = arithmetic(name);
    }

    // Words by which blocks signal: loads, stores and sums of u32 in global memory, of every order that they can have.
    static bool is_signal(const std::string &name, Instruction *i) {
        const std::string kind = name.substr(0, name.find('.')),
                          order = name.substr(kind.size(), name.find('.', kind.size() + 1) - kind.size());
        const bool store = kind == "st", sum = kind == "atom";
        if (name != kind + order + ".gpu.global" + (sum ? ".add.u32" : ".u32") || (!store && !sum && kind != "ld")) return false;
        i->acquires = !store && (order == ".acquire" || (sum && order == ".acq_rel"));
        i->releases = (store || sum) && (order == ".release" || (sum && order == ".acq_rel"));
        i->reads_signal = !store;
        return i->acquires || i->releases || order == ".relaxed";
    }

    static bool has_result(const Instruction &i) {
        if (i.kind == Kind::SIGNAL) return i.reads_signal;
        return i.kind != Kind::STORE && i.kind != Kind::SLEEP && i.kind != Kind::BARRIER && i.kind != Kind::WARP_BARRIER;
    }

    // Which of the operands are written: the first, which may be of several parts.
    void operands(const std::string &s, Instruction *i) {
        if (i->kind == Kind::BRANCH) {
            i->label = s;
            return;
        }
        bool first = has_result(*i), inside = false;
        std::string word;
        const auto take = [&] {
            word = trimmed(word);
            if (word.empty()) return;
            if (word[0] == '[') address(word, i);
            else if (first && word.find('|') != std::string::npos) // a shuffle's second result, a predicate
                for (const std::string &part : split(word, '|')) i->to.push_back(operand(trimmed(part)));
            else (first ? i->to : i->from).push_back(operand(word));
            word.clear();
        };
        for (char c : s) {
            if (c == '{') inside = true;
            else if (c == '}') take(), inside = false;
            else if (c == ',') {
                take();
                if (!inside) first = false;
            } else word += c;
        }
        take();
    }

    Kernel &kernel_;
    int registers_ = 0;
    std::map<std::string, size_t> variables_, labels_;
    std::map<std::string, int> names_;
    std::map<uint64_t, int> constants_;
};

// The name in ".visible .entry name(".
std::string entry_name(const std::string &line) {
    const size_t at = line.find(".entry") + 6;
    return trimmed(line.substr(at, line.find('(') - at));
}

} // namespace

void read_program(const std::string &text, std::map<std::string, Kernel> *kernels) {
    enum { OUTSIDE, PARAMETERS, BEFORE_BODY, BODY } where = OUTSIDE;
    std::istringstream lines(text);
    std::string line;
    Kernel kernel;
    std::unique_ptr<Reader> reader;
    for (unsigned number = 1; std::getline(lines, line); number++) {
        line = trimmed(line.substr(0, line.find("//")));
        if (line.empty()) continue;
        if (where == OUTSIDE && line.find(".entry") != std::string::npos) {
            kernel = Kernel();
            kernel.name = entry_name(line);
            reader.reset(new Reader(&kernel));
            where = line.back() == ')' ? BEFORE_BODY : PARAMETERS;
        } else if (where == PARAMETERS) {
            if (line[0] == ')') where = BEFORE_BODY;
            else reader->parameter(line.back() == ',' ? line.substr(0, line.size() - 1) : line);
        } else if (where == BEFORE_BODY) {
            if (line == "{") where = BODY;
        } else if (where == BODY && line == "}") {
            reader->finish();
            (*kernels)[kernel.name] = kernel;
            where = OUTSIDE;
        } else if (where == BODY && line.back() == ':') {
            reader->label(line.substr(0, line.size() - 1));
        } else if (where == BODY) {
            if (line.back() != ';') throw Fault{"line " + std::to_string(number) + " is not a statement: " + line};
            reader->statement(line.substr(0, line.size() - 1), number);
        } else if (line[0] != '.') throw Fault{"line " + std::to_string(number) + " is outside any kernel: " + line};
    }
}

} // namespace ptx
