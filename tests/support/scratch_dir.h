// A directory of a test's own, removed at its end, and small file helpers.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

struct ScratchDir {
    std::string path;
    ScratchDir() {
        char name[] = "/tmp/lopt-test-XXXXXX";
        path = mkdtemp(name) ? name : "";
    }
    ~ScratchDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    ScratchDir(const ScratchDir &) = delete;
    std::string operator/(const std::string &name) const { return path + "/" + name; }
};

inline size_t files_in(const std::string &dir) { return size_t(std::distance(std::filesystem::directory_iterator(dir), {})); }
inline std::string read_file(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
}
inline void write_file(const std::string &path, const std::string &text) {
    std::ofstream out(path, std::ios::binary);
    out << text;
}
