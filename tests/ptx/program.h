// Compiled kernels as the PTX text that nvcc makes of them, read into programs that machine.h runs. PTX ISA 9.0 names what the words mean.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace ptx {

constexpr unsigned LANES = 32;
constexpr uint32_t ALL_LANES = 0xffffffffu;

// What is wrong with a program or with what it does.
struct Fault {
    std::string sentence;
};

// A signal reads a word by which blocks tell others of what they have done, writes it, or adds to it.
enum class Kind {
    ARITHMETIC,
    LOAD,
    STORE,
    SIGNAL,
    PREFETCH,
    SLEEP,
    FOLLOW, // waits for the launches before
    LEAD,   // lets the next one begin
    BRANCH,
    RETURN,
    BARRIER,
    WARP_BARRIER,
    SHUFFLE,
    MATRIX_LOAD,
    MATRIX_PRODUCT
};
enum class Space { GLOBAL, SHARED, LOCAL, PARAM };

struct Instruction;
using Register = uint64_t[LANES]; // a lane each; what is narrower stands in the low bits
// Arithmetic: lane by lane, for the lanes of a mask.
using Operation = std::function<void(Register *registers, const Instruction &i, uint32_t mask)>;

// Operands are indices of registers; immediates and addresses of variables are registers that nothing writes.
struct Instruction {
    Kind kind = Kind::ARITHMETIC;
    Operation operation;
    int guard = -1; // the predicate's register
    bool guard_negated = false;
    std::vector<int> to, from;
    Space space = Space::GLOBAL;
    unsigned bytes = 0;     // of an element of a load or store
    bool is_signed = false; // ... that is extended
    bool acquires = false, releases = false, reads_signal = false;
    int address = -1;        // the register with the address
    int64_t offset = 0;      // to be added to it
    size_t target = 0;       // of a branch
    std::string label, text; // as written
    unsigned line = 0;       // of the text, from 1
};

struct Parameter {
    size_t at, bytes;
};

struct Kernel {
    std::string name;
    std::vector<Parameter> params;
    size_t param_bytes = 0, shared_bytes = 0, local_bytes = 0;
    int registers = 0;
    bool follows = false;                             // may begin before the launches before it have ended
    bool signals = false;                             // somewhere in its code
    std::vector<std::pair<int, uint64_t>> constants;  // registers with a value for all lanes and for ever
    std::vector<std::pair<int, std::string>> special; // registers such as %tid.x
    std::vector<Instruction> code;
};

// Adds the kernels of a text by their mangled names. Throws Fault where it does not know a word.
void read_program(const std::string &text, std::map<std::string, Kernel> *kernels);

// The operation of an instruction's full name, or an empty one: operations.cpp.
Operation arithmetic(const std::string &name);
float half_value(uint16_t bits);

inline std::vector<std::string> split(const std::string &s, char at) {
    std::vector<std::string> parts(1);
    for (char c : s) {
        if (c == at) parts.emplace_back();
        else parts.back() += c;
    }
    return parts;
}

} // namespace ptx
