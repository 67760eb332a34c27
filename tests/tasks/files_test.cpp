// The readers of MNIST's and CIFAR-10's files, judged on files that the tests write: what is written is read, whatever is wrong is refused
// with a sentence that names the file, and no bytes at all make them crash or ask for much memory.
#include <functional>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/tasks/image_files.h"
#include "tests/tasks/support.h"

extern "C" {
#include "tasks/data/image_set.h"
}

namespace {

struct Images {
    image_set set = {};
    lopt_status status;
    Images(image_reader read, const std::string &folder, size_t rows) { status = read(folder.c_str(), rows, &set); }
    ~Images() { free(set.data); }
    Images(const Images &) = delete;
};

// Row `at` of the set is made row `made`.
void expect_row(const image_set &s, size_t at, size_t made) {
    const size_t stride = s.train + s.test;
    for (size_t p = 0; p < s.pixels; p++)
        ASSERT_FLOAT_EQ(s.data[at * s.pixels + p], made_pixel(made, p) / 255.0f) << "row " << at << " pixel " << p;
    EXPECT_EQ(s.data[s.pixels * stride + at], made_label(made)) << at;
}
// The set holds the first `train` rows, and the rows from `first_test` on.
void expect_rows(const Images &i, size_t pixels, size_t train, size_t first_test, size_t test) {
    ASSERT_EQ(i.status, LOPT_OK) << lopt_last_error();
    ASSERT_EQ(i.set.pixels, pixels);
    ASSERT_EQ(i.set.train, train);
    ASSERT_EQ(i.set.test, test);
    for (size_t r = 0; r < train; r++) expect_row(i.set, r, r);
    for (size_t r = 0; r < test; r++) expect_row(i.set, train + r, first_test + r);
}

Files compressed(const Files &files) {
    Files out;
    for (const auto &[name, bytes] : files) out[name + ".gz"] = gzipped(bytes);
    return out;
}

TEST(Mnist, IsReadAsItWasWritten) {
    const Files plain = mnist_files_of(150, 70);
    ScratchDir a, b, c, d;
    write_files(a.path, plain);
    expect_rows(Images(mnist_read, a.path, 150), 784, 150, 150, 70);
    expect_rows(Images(mnist_read, a.path, 65), 784, 65, 150, 70); // not a whole number of blocks, and not all
    expect_rows(Images(mnist_read, a.path, 1), 784, 1, 150, 70);
    write_files(b.path, compressed(plain));
    expect_rows(Images(mnist_read, b.path, 150), 784, 150, 150, 70);
    for (const auto &[name, bytes] : plain) write_file(c / name, gzipped(bytes)); // content decides, not the name
    expect_rows(Images(mnist_read, c.path, 150), 784, 150, 150, 70);
    for (const auto &[name, bytes] : plain) // several gzip members, cut anywhere, are one file
        write_file(d / (name + ".gz"), gzipped(bytes.substr(0, 13)) + gzipped("") + gzipped(bytes.substr(13)));
    expect_rows(Images(mnist_read, d.path, 150), 784, 150, 150, 70);
}

TEST(Mnist, APlainFileGoesBeforeACompressedOne) {
    ScratchDir dir;
    write_files(dir.path, mnist_files_of(20, 10));
    for (const auto &[name, bytes] : mnist_files_of(20, 10)) write_file(dir / (name + ".gz"), "rubbish");
    expect_rows(Images(mnist_read, dir.path, 20), 784, 20, 20, 10);
}

TEST(Cifar10, IsReadAsItWasWritten) {
    ScratchDir dir;
    write_files(dir.path, cifar_files_of(21, 18));
    expect_rows(Images(cifar10_read, dir.path, 105), 3072, 105, 105, 18);
    expect_rows(Images(cifar10_read, dir.path, 30), 3072, 30, 105, 18); // into the second file
    expect_rows(Images(cifar10_read, dir.path, 7), 3072, 7, 105, 18);
}

// ---- What is refused -----------------------------------------------------------------------------------------------------------

struct Fault {
    const char *what, *file, *says;
    std::function<void(std::string &)> damage;
    lopt_status status = LOPT_ERR_FORMAT;
};

void set_be32(std::string &bytes, size_t at, size_t n) { bytes.replace(at, 4, be32(n)); }

void expect_refused(image_reader read, const std::string &folder, size_t rows, const std::string &what, const std::string &file,
                    const std::string &says, lopt_status status) {
    Images i(read, folder, rows);
    const std::string sentence = lopt_last_error();
    EXPECT_EQ(i.status, status) << what << ": " << sentence;
    EXPECT_EQ(i.set.data, nullptr) << what;
    EXPECT_NE(sentence.find(file), std::string::npos) << what << ": " << sentence;
    EXPECT_NE(sentence.find(says), std::string::npos) << what << ": " << sentence;
    EXPECT_NE(sentence.find("; "), std::string::npos) << what << ": what is to be done? " << sentence;
    EXPECT_EQ(sentence.find('\n'), std::string::npos);
}

const std::vector<Fault> &idx_faults() {
    static const char *const images = "train-images-idx3-ubyte", *const labels = "t10k-labels-idx1-ubyte";
    static const std::vector<Fault> faults = {
        {"wrong magic", images, "no IDX file", [](std::string &b) { b[0] = 1; }},
        {"text", images, "no IDX file", [](std::string &b) { b = "<html>Not found</html>"; }},
        {"floats", images, "type 0x0d", [](std::string &b) { b[2] = 0x0d; }},
        {"a rank too many", images, "dimensions", [](std::string &b) { b[3] = 4; }},
        {"labels for images", images, "exchanged", [](std::string &b) { b = idx_labels(0, 12); }},
        {"images for labels", labels, "exchanged", [](std::string &b) { b = idx_images(0, 8); }},
        {"empty", images, "truncated", [](std::string &b) { b = ""; }},
        {"cut in the magic", images, "truncated", [](std::string &b) { b.resize(3); }},
        {"cut in the sizes", images, "truncated", [](std::string &b) { b.resize(14); }},
        {"cut in the data", images, "truncated", [](std::string &b) { b.resize(b.size() - 1); }},
        {"cut after the header", images, "truncated", [](std::string &b) { b.resize(16); }},
        {"a byte too many", labels, "bytes follow", [](std::string &b) { b += '\0'; }},
        {"no rows", images, "dimension 1 is 0", [](std::string &b) { set_be32(b, 4, 0); }},
        {"many rows", images, "dimension 1 is 4294967295", [](std::string &b) { set_be32(b, 4, 0xffffffff); }},
        {"more rows than bytes", images, "truncated", [](std::string &b) { set_be32(b, 4, 100000); }},
        {"no width", images, "dimension 3 is 0", [](std::string &b) { set_be32(b, 12, 0); }},
        {"sizes that overflow", images, "dimension 3", [](std::string &b) { set_be32(b, 8, 65536), set_be32(b, 12, 65536); }},
        {"another shape", images, "14 x 56", [](std::string &b) { set_be32(b, 8, 14), set_be32(b, 12, 56); }},
        {"a label short", labels, "7 labels for the 8 images", [](std::string &b) { b = idx_labels(12, 7); }},
        {"a label of 10", labels, "label of row 3 is 10", [](std::string &b) { b[11] = 10; }},
    };
    return faults;
}

TEST(Mnist, RefusesDamagedFilesPlainAndCompressed) {
    for (const Fault &fault : idx_faults())
        for (bool gzip : {false, true}) {
            Files files = mnist_files_of(12, 8);
            fault.damage(files[fault.file]);
            if (gzip) files = compressed(files);
            ScratchDir dir;
            write_files(dir.path, files);
            expect_refused(mnist_read, dir.path, 12, fault.what, fault.file, fault.says, fault.status);
        }
}

TEST(Mnist, RefusesDamagedCompression) {
    const std::vector<Fault> faults = {
        {"cut", "", "truncated", [](std::string &b) { b.resize(b.size() - 9); }},
        {"cut in the gzip header", "", "truncated", [](std::string &b) { b.resize(5); }},
        {"wrong checksum", "", "damaged", [](std::string &b) { b[b.size() - 5] ^= 1; }},
        {"wrong length", "", "damaged", [](std::string &b) { b[b.size() - 1] ^= 1; }},
        {"rubbish behind", "", "damaged", [](std::string &b) { b += "rubbish"; }},
        {"a second copy behind", "", "bytes follow", [](std::string &b) { b += b; }},
        {"unknown method", "", "damaged", [](std::string &b) { b[2] = 9; }},
        {"damaged data", "", "", [](std::string &b) { b[b.size() / 2] ^= 0x55; }},
    };
    for (const char *name : {"train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"})
        for (const Fault &fault : faults) {
            Files files = compressed(mnist_files_of(12, 8));
            fault.damage(files[name]);
            ScratchDir dir;
            write_files(dir.path, files);
            expect_refused(mnist_read, dir.path, 12, fault.what, name, fault.says, fault.status);
        }
}

// The most memory that the process has had.
long peak_kilobytes() {
    const std::string status = read_file("/proc/self/status");
    const size_t at = status.find("VmHWM:");
    return at == std::string::npos ? 0 : std::atol(status.c_str() + at + 6);
}

// The header promises 78 MB, which the file cannot hold; or the file unpacks to far more than the header promises.
TEST(Mnist, ABombIsNotUnpacked) {
    Files files = mnist_files_of(12, 8);
    write_file("/proc/self/clear_refs", "5"); // the peak counts from here
    const long before = peak_kilobytes();
    {
        ScratchDir dir;
        files["train-images-idx3-ubyte"] = gzipped(idx_header({100000, 28, 28}) + std::string(1000, 'x'));
        files["train-labels-idx1-ubyte"] = gzipped(idx_labels(0, 100000));
        write_files(dir.path, files);
        expect_refused(mnist_read, dir.path, 60000, "promises", "train-images", "at most", LOPT_ERR_FORMAT);
    }
    ScratchDir dir;
    files = mnist_files_of(12, 8);
    std::string &bomb = files["train-images-idx3-ubyte"], block = gzipped(std::string(1 << 20, '\0'));
    bomb = gzipped(bomb);
    for (int i = 0; i < 1000; i++) bomb += block; // a gigabyte
    write_files(dir.path, files);
    expect_refused(mnist_read, dir.path, 12, "more", "train-images", "bytes follow", LOPT_ERR_FORMAT);
    EXPECT_LT(peak_kilobytes() - before, 40 * 1024);
}

TEST(Cifar10, RefusesDamagedFiles) {
    const std::vector<Fault> faults = {
        {"empty", "data_batch_3.bin", "0 bytes", [](std::string &b) { b = ""; }},
        {"cut", "data_batch_5.bin", "whole number of records", [](std::string &b) { b.resize(b.size() - 1); }},
        {"a byte too many", "test_batch.bin", "whole number of records", [](std::string &b) { b += 'x'; }},
        {"a label of 10", "data_batch_2.bin", "label of row 2 is 10", [](std::string &b) { b[2 * 3073] = 10; }},
        {"a label of 255 beyond the rows that are kept", "data_batch_5.bin", "label of row 1 is 255",
         [](std::string &b) { b[3073] = char(255); }},
        {"compressed", "test_batch.bin", "gunzip", [](std::string &b) { b = gzipped(b); }},
    };
    for (const Fault &fault : faults) {
        Files files = cifar_files_of(4, 3);
        fault.damage(files[fault.file]);
        ScratchDir dir;
        write_files(dir.path, files);
        expect_refused(cifar10_read, dir.path, 6, fault.what, fault.file, fault.says, fault.status);
    }
}

TEST(ImageFiles, WhatIsNoReadableFileIsRefused) {
    struct Reader {
        image_reader read;
        Files files;
    };
    for (const Reader &r : {Reader{mnist_read, mnist_files_of(12, 8)}, Reader{cifar10_read, cifar_files_of(4, 3)}})
        for (const auto &[name, bytes] : r.files) {
            ScratchDir dir;
            write_files(dir.path, r.files);
            const std::string path = dir / name;
            expect_refused(r.read, dir.path, 1000, "too many rows", dir.path, "ask for fewer", LOPT_ERR_FORMAT);
            unlink(path.c_str());
            expect_refused(r.read, dir.path, 12, "missing", name, "no such file", LOPT_ERR_IO);
            expect_refused(r.read, dir / "nowhere", 12, "no folder", "nowhere", "no such file", LOPT_ERR_IO);
            expect_refused(r.read, std::string(5000, 'x'), 12, "a long name", "xxx", "too long", LOPT_ERR_IO);
            mkdir(path.c_str(), 0777);
            expect_refused(r.read, dir.path, 12, "a folder", name, "regular file", LOPT_ERR_IO);
            rmdir(path.c_str());
            ASSERT_EQ(mkfifo(path.c_str(), 0666), 0); // must not wait for a writer
            expect_refused(r.read, dir.path, 12, "a pipe", name, "regular file", LOPT_ERR_IO);
            unlink(path.c_str());
            if (geteuid() == 0) continue; // may read everything
            write_file(path, bytes);
            chmod(path.c_str(), 0);
            expect_refused(r.read, dir.path, 12, "forbidden", name, "permissions", LOPT_ERR_IO);
        }
}

// ---- Any bytes at all ------------------------------------------------------------------------------------------------------------

// Flips, overwrites, cuts, repetitions and insertions: one to four of them.
std::string mutated(std::string bytes, std::mt19937 &random) {
    auto below = [&](size_t n) { return n ? size_t(random() % n) : 0; };
    for (size_t k = 1 + below(4); k > 0; k--) {
        const size_t at = random() % 2 ? below(std::min<size_t>(bytes.size(), 32)) : below(bytes.size()); // often in the header
        if (bytes.empty()) return bytes;
        switch (random() % 6) {
        case 0: bytes[at] = char(bytes[at] ^ (1 << below(8))); break;
        case 1: bytes[at] = char(random()); break;
        case 2: bytes[at] = random() % 2 ? char(0xff) : 0; break;
        case 3: bytes.resize(at); break;
        case 4: bytes.insert(at, bytes.substr(below(bytes.size()), below(64))); break;
        case 5: bytes.erase(at, below(64)); break;
        }
    }
    return bytes;
}

// Either all is well, or there is a sentence; what is read is always in its bounds.
void survive(image_reader read, const Files &files, size_t rows, unsigned variations) {
    ScratchDir dir;
    std::mt19937 random(1);
    unsigned refused = 0;
    write_files(dir.path, files);
    for (unsigned k = 0; k < variations; k++) {
        auto victim = files.begin();
        std::advance(victim, random() % files.size());
        const std::string path = dir / victim->first;
        unlink(path.c_str()); // some file systems are slow at replacing a file's content
        write_file(path, mutated(victim->second, random));
        Images i(read, dir.path, rows);
        unlink(path.c_str());
        write_file(path, victim->second);
        if (i.status != LOPT_OK) {
            refused++;
            ASSERT_TRUE(i.status == LOPT_ERR_FORMAT || i.status == LOPT_ERR_IO)
                << lopt_status_name(i.status) << ": " << lopt_last_error();
            ASSERT_NE(std::string(lopt_last_error()).find(dir.path), std::string::npos) << lopt_last_error();
            continue;
        }
        const size_t all = i.set.train + i.set.test;
        for (size_t p = 0; p < i.set.pixels * all; p++) ASSERT_TRUE(i.set.data[p] >= 0 && i.set.data[p] <= 1);
        for (size_t r = 0; r < all; r++) ASSERT_LE(i.set.data[i.set.pixels * all + r], 9);
    }
    EXPECT_GT(refused, variations / 4);
    EXPECT_LT(refused, variations); // a changed pixel is no fault
}

TEST(ImageFiles, SurviveMutations) {
    survive(mnist_read, mnist_files_of(3, 2), 3, 2000);
    survive(cifar10_read, cifar_files_of(1, 2), 3, 1000);
}
TEST(ImageFiles, SurviveMutationsOfCompressedFiles) {
    // a checksum guards the pixels, so that hardly any variation passes; a file name without one does
    Files files = compressed(mnist_files_of(3, 2));
    const std::string images = "train-images-idx3-ubyte";
    files.erase(images + ".gz");
    files[images] = idx_images(0, 3);
    survive(mnist_read, files, 3, 2000);
}

} // namespace
