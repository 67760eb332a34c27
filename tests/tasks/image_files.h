// Small made-up data sets in the formats of MNIST and CIFAR-10, written to a folder of the test's own.
#pragma once
#include <map>
#include <vector>
#include <zlib.h>

#include "tests/support/scratch_dir.h"

// What a program would find compressed, by zlib's own writer.
inline std::string gzipped(const std::string &bytes) {
    z_stream z = {};
    std::string out(compressBound(uLong(bytes.size())) + 64, '\0');
    if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return "";
    z.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(bytes.data()));
    z.avail_in = uInt(bytes.size());
    z.next_out = reinterpret_cast<Bytef *>(&out[0]);
    z.avail_out = uInt(out.size());
    const int result = deflate(&z, Z_FINISH);
    out.resize(z.total_out);
    deflateEnd(&z);
    return result == Z_STREAM_END ? out : "";
}

// Labels go round; each class has a pattern of its own under noise, the same for the same row.
inline unsigned char made_label(size_t row) { return static_cast<unsigned char>((row * 7 + row / 10) % 10); }
inline unsigned char made_pixel(size_t row, size_t pixel) {
    unsigned pattern = unsigned(made_label(row) * 40503u + pixel) * 2654435761u, noise = unsigned(row * 7919 + pixel) * 2246822519u;
    pattern ^= pattern >> 15;
    pattern *= 2246822519u;
    noise ^= noise >> 13;
    noise *= 3266489917u;
    return static_cast<unsigned char>((pattern >> 31) * 128 + (noise >> 25));
}

using Files = std::map<std::string, std::string>; // by name

inline std::string be32(size_t n) { return {char(n >> 24), char(n >> 16), char(n >> 8), char(n)}; }
inline std::string idx_header(const std::vector<size_t> &shape, int type = 8) {
    std::string out = {0, 0, char(type), char(shape.size())};
    for (size_t n : shape) out += be32(n);
    return out;
}
inline std::string idx_images(size_t first, size_t count) {
    std::string out = idx_header({count, 28, 28});
    for (size_t r = first; r < first + count; r++)
        for (size_t p = 0; p < 784; p++) out += char(made_pixel(r, p));
    return out;
}
inline std::string idx_labels(size_t first, size_t count) {
    std::string out = idx_header({count});
    for (size_t r = first; r < first + count; r++) out += char(made_label(r));
    return out;
}
// Rows 0.. to train, then rows to test.
inline Files mnist_files_of(size_t train, size_t test) {
    return {{"train-images-idx3-ubyte", idx_images(0, train)},
            {"train-labels-idx1-ubyte", idx_labels(0, train)},
            {"t10k-images-idx3-ubyte", idx_images(train, test)},
            {"t10k-labels-idx1-ubyte", idx_labels(train, test)}};
}
inline std::string cifar_records(size_t first, size_t count) {
    std::string out;
    for (size_t r = first; r < first + count; r++) {
        out += char(made_label(r));
        for (size_t p = 0; p < 3072; p++) out += char(made_pixel(r, p));
    }
    return out;
}
// `each` rows in every training file.
inline Files cifar_files_of(size_t each, size_t test) {
    Files files;
    for (size_t i = 0; i < 5; i++) files["data_batch_" + std::to_string(i + 1) + ".bin"] = cifar_records(i * each, each);
    files["test_batch.bin"] = cifar_records(5 * each, test);
    return files;
}
inline void write_files(const std::string &folder, const Files &files) {
    for (const auto &[name, bytes] : files) write_file(folder + "/" + name, bytes);
}

// An environment variable for the length of a scope.
struct ScopedVariable {
    std::string name, before;
    bool was_set;
    ScopedVariable(const char *variable, const std::string &value) : name(variable) {
        const char *old = std::getenv(variable);
        was_set = old != nullptr;
        before = old ? old : "";
        setenv(variable, value.c_str(), 1);
    }
    ~ScopedVariable() {
        if (was_set) setenv(name.c_str(), before.c_str(), 1);
        else unsetenv(name.c_str());
    }
    ScopedVariable(const ScopedVariable &) = delete;
};

// Both data sets, and the variables that name them, until the process ends.
struct SmallDataSets {
    ScratchDir dir;
    SmallDataSets() {
        write_files(dir.path, mnist_files_of(120, 40));
        write_files(dir.path, cifar_files_of(24, 40));
        setenv("LOPT_MNIST_DIR", dir.path.c_str(), 1);
        setenv("LOPT_CIFAR10_DIR", dir.path.c_str(), 1);
    }
};
inline void provide_small_data_sets() { static SmallDataSets sets; }
