#include "tests/ptx/gpus.h"

#include <cstdio>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/support/emulated_machine.h"

namespace ptx {

Gpus &gpus() {
    static Gpus g;
    return g;
}

Gpus::Gpus() { start_again(); }

void Gpus::read_kernels() {
    for (const std::string &path : split(LOPT_PTX_FILES, ':')) {
        std::ifstream file(path);
        std::stringstream text;
        text << file.rdbuf();
        try {
            read_program(text.str(), &machine.kernels);
        } catch (const Fault &f) {
            fault(path + ": " + f.sentence);
        }
    }
}

void Gpus::fault(const std::string &sentence) {
    std::fprintf(stderr, "%s\n", sentence.c_str());
    faults.push_back(sentence);
}

void Gpus::start_again() {
    for (Stream *s : streams_) delete s;
    streams_.clear();
    defaults_.clear();
    for (int d = 0; d < DEVICES; d++) defaults_.push_back({d, {}, nullptr});
    machine.memory = Memory();
    machine.traffic.clear();
    faults.clear();
    capability = 9, bytes = size_t(1) << 30;
}

int Gpus::count() const { return emulation::machine.has_driver ? DEVICES : 0; }

Stream *Gpus::stream(void *handle, int device) {
    if (handle == nullptr) return &defaults_[size_t(device)];
    const auto found = streams_.find(static_cast<Stream *>(handle));
    return found == streams_.end() ? nullptr : *found;
}

void *Gpus::add_stream(int device) { return *streams_.insert(new Stream{device, {}, nullptr}).first; }

void Gpus::remove_stream(Stream *s) {
    wait(s);
    streams_.erase(s);
    delete s;
}

void Gpus::enqueue(Stream *s, Work w) {
    if (s->captured_into) s->captured_into->work.push_back(std::move(w));
    else s->queue.push_back(std::move(w));
}

// The next of the work of a stream that has some.
void Gpus::work_once() {
    std::vector<Stream *> busy;
    for (Stream &s : defaults_)
        if (!s.queue.empty()) busy.push_back(&s);
    for (Stream *s : streams_)
        if (!s->queue.empty()) busy.push_back(s);
    Stream *s = busy[std::minstd_rand(unsigned(emulation::schedule + 977 * ++turns_))() % busy.size()];
    const Work w = std::move(s->queue.front());
    s->queue.pop_front();
    if (!faults.empty()) return;
    try {
        w();
    } catch (const Fault &f) {
        fault(f.sentence);
    }
}

void Gpus::wait(Stream *s) {
    while (!s->queue.empty()) work_once();
}

void Gpus::wait_for_all() {
    for (Stream &s : defaults_) wait(&s);
    for (Stream *s : streams_) wait(s);
}

bool Gpus::capturing() const {
    for (const Stream *s : streams_)
        if (s->captured_into) return true;
    return false;
}

void Gpus::break_captures() {
    for (Stream *s : streams_)
        if (s->captured_into) s->captured_into->broken = true;
}

void Gpus::name_kernel(const void *host_function, const char *name) { names_[host_function] = name; }

const Kernel *Gpus::kernel(const void *host_function) {
    if (machine.kernels.empty()) read_kernels();
    const auto name = names_.find(host_function);
    if (name == names_.end()) return nullptr;
    const auto found = machine.kernels.find(name->second);
    return found == machine.kernels.end() ? nullptr : &found->second;
}

} // namespace ptx
