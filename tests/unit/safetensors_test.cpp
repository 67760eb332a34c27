// The container: what it reads back, what it refuses and how it says so, and that a failed write loses nothing.
#include <jansson.h>
#include <sys/resource.h>
#include <xxhash.h>

#include <csignal>

#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"

namespace {

// A file from header text and data, with the length and the padding that the format asks for.
std::string container(std::string header, const std::string &data) {
    while (header.size() % 8) header += ' ';
    std::string out(8, '\0');
    for (int i = 0; i < 8; i++) out[i] = char(header.size() >> (8 * i));
    return out + header + data;
}
std::string tensor(const std::string &name, const std::string &shape, size_t begin, size_t end, const std::string &dtype = "F32") {
    return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":[" + std::to_string(begin) +
           "," + std::to_string(end) + "]}";
}
const std::string sixteen(16, 'a');

struct Bad {
    const char *what;
    std::string bytes, says;
};
void PrintTo(const Bad &b, std::ostream *out) { *out << b.what; }

lopt_status open_bytes(const std::string &bytes) {
    ScratchDir dir;
    safetensors_file *f = nullptr;
    write_file(dir / "f", bytes);
    lopt_status status = safetensors_open((dir / "f").c_str(), &f);
    safetensors_close(f);
    return status;
}

class Refused : public ::testing::TestWithParam<Bad> {};

TEST_P(Refused, WithASentence) {
    EXPECT_EQ(open_bytes(GetParam().bytes), LOPT_ERR_FORMAT);
    EXPECT_NE(std::string(lopt_last_error()).find(GetParam().says), std::string::npos) << lopt_last_error();
}
INSTANTIATE_TEST_SUITE_P(
    Files, Refused,
    ::testing::Values(
        Bad{"empty", "", "truncated"}, Bad{"seven bytes", "1234567", "truncated"},
        Bad{"huge header", std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{}      ", 16), "truncated"},
        Bad{"overflowing header", std::string(8, '\xff') + "{}      ", "truncated"}, Bad{"no brace", container("[]", ""), "{"},
        Bad{"not json", container("{\"a\":", ""), "JSON"}, Bad{"trailing junk", container("{} x", ""), "JSON"},
        Bad{"unpadded", std::string("\x02\0\0\0\0\0\0\0{}", 10), "8"},
        Bad{"duplicate tensor", container("{" + tensor("a", "[2]", 0, 8) + "," + tensor("a", "[2]", 8, 16) + "}", sixteen),
            "duplicate"},
        Bad{"duplicate key within",
            container("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", sixteen), "duplicate"},
        Bad{"hole at the start", container("{" + tensor("a", "[2]", 8, 16) + "}", sixteen), "a"},
        Bad{"hole between", container("{" + tensor("a", "[1]", 0, 4) + "," + tensor("b", "[2]", 8, 16) + "}", sixteen), "b"},
        Bad{"overlap", container("{" + tensor("a", "[3]", 0, 12) + "," + tensor("b", "[2]", 8, 16) + "}", sixteen), "b"},
        Bad{"data left over", container("{" + tensor("a", "[2]", 0, 8) + "}", sixteen), ""},
        Bad{"data missing", container("{" + tensor("a", "[5]", 0, 20) + "}", sixteen), "a"},
        Bad{"size against shape", container("{" + tensor("weird", "[3]", 0, 16) + "}", sixteen), "weird"},
        Bad{"shape overflows", container("{" + tensor("wide", "[4294967296,4294967296,4]", 0, 16) + "}", sixteen), "wide"},
        Bad{"bytes overflow", container("{" + tensor("wide", "[4611686018427387905]", 0, 4) + "}", "aaaa"), "wide"},
        Bad{"negative", container("{" + tensor("neg", "[-4]", 0, 16) + "}", sixteen), "neg"},
        Bad{"fraction", container("{" + tensor("frac", "[4.0]", 0, 16) + "}", sixteen), "frac"},
        Bad{"rank", container("{" + tensor("deep", "[1,1,1,1,4]", 0, 16) + "}", sixteen), "deep"},
        Bad{"dtype", container("{" + tensor("odd", "[4]", 0, 16, "F31") + "}", sixteen), "odd"},
        Bad{"backwards", container("{\"back\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}", sixteen), "back"},
        Bad{"unknown field", container("{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16],\"x\":1}}", sixteen), "a"},
        Bad{"missing field", container("{\"a\":{\"dtype\":\"F32\",\"shape\":[4]}}", sixteen), "a"},
        Bad{"not an object", container("{\"a\":3}", ""), "a"},
        Bad{"metadata not an object", container("{\"__metadata__\":3}", ""), "metadata"},
        Bad{"metadata not strings", container("{\"__metadata__\":{\"k\":3}}", ""), "k"},
        Bad{"wrong checksum", container("{\"__metadata__\":{\"checksum\":\"0123456789abcdef\"}}", ""), "checksum"},
        Bad{"malformed checksum", container("{\"__metadata__\":{\"checksum\":\"xyz\"}}", ""), "checksum"},
        Bad{"a key that ends with the word, where there is no room for digits",
            container("{\"__metadata__\":{\"checksum\" :\"0123456789abcdef\",\"x\\\"checksum\":\"\"}}", ""), "checksum"},
        Bad{"digits by their numbers", container("{\"__metadata__\":{\"checksum\":\"\\u0030123456789abcdef\"}}", ""), "malformed"},
        Bad{"lopt's, its checksum renamed",
            container("{\"__metadata__\":{\"lopt_version\":\"1\",\"checksun\":\"0123456789abcdef\"}}", ""), "checksum"}));

TEST(Safetensors, OthersFilesLoad) {
    ScratchDir dir;
    safetensors_file *f = nullptr;
    std::string data(8, '\0');
    const float two[2] = {1.5f, -2.0f};
    std::memcpy(&data[0], two, 8);
    write_file(dir / "f", container("{\"__metadata__\":{\"by\":\"another\"}," + tensor("b", "[1,1]", 4, 8) + "," +
                                        tensor("a", "[1]", 0, 4) + "}",
                                    data));
    ASSERT_EQ(safetensors_open((dir / "f").c_str(), &f), LOPT_OK) << lopt_last_error();
    EXPECT_STREQ(safetensors_metadata(f, "by"), "another");
    EXPECT_EQ(safetensors_metadata(f, "checksum"), nullptr);
    ASSERT_EQ(safetensors_num_tensors(f), 2u);
    const safetensors_tensor b = {"b", SAFETENSORS_F32, 2, {1, 1}}, wrong = {"b", SAFETENSORS_F32, 1, {1}},
                             none = {"c", SAFETENSORS_F32, 1, {1}};
    const void *bytes = nullptr;
    ASSERT_EQ(safetensors_data(f, &b, &bytes), LOPT_OK);
    EXPECT_EQ(std::memcmp(bytes, &two[1], 4), 0);
    for (const safetensors_tensor *t : {&wrong, &none}) {
        EXPECT_EQ(safetensors_data(f, t, &bytes), LOPT_ERR_FORMAT);
        EXPECT_NE(std::string(lopt_last_error()).find(t->name), std::string::npos);
    }
    uint64_t n = 0;
    EXPECT_EQ(safetensors_metadata_u64(f, "by", &n), LOPT_ERR_FORMAT);
    EXPECT_EQ(safetensors_metadata_u64(f, "missing", &n), LOPT_ERR_FORMAT);
    safetensors_close(f);
    safetensors_close(nullptr);
}

// Other tools put spaces between the parts of a header, and may know the checksum all the same.
TEST(Safetensors, ChecksumBehindSpaces) {
    for (const char *lead : {"\"checksum\":\"", "\"checksum\": \"", "\"checksum\" \n:\t\r\""}) {
        std::string header = "{\"__metadata__\":{\"x\":\"checksum\",\"format\":\"y\"," + std::string(lead);
        const size_t place = 8 + header.size();
        std::string bytes = container(header + std::string(16, '0') + "\"}}", "");
        char digits[17];
        std::snprintf(digits, sizeof digits, "%016llx", (unsigned long long)XXH3_64bits(bytes.data(), bytes.size()));
        bytes.replace(place, 16, digits);
        EXPECT_EQ(open_bytes(bytes), LOPT_OK) << lead << ": " << lopt_last_error();
        bytes[place] = bytes[place] == '0' ? '1' : '0';
        EXPECT_EQ(open_bytes(bytes), LOPT_ERR_FORMAT) << lead;
    }
}

TEST(Safetensors, MissingAndUnreadable) {
    safetensors_file *f = nullptr;
    EXPECT_EQ(safetensors_open("/nonexistent/file", &f), LOPT_ERR_IO);
    EXPECT_EQ(safetensors_open("/tmp", &f), LOPT_ERR_IO);
    EXPECT_EQ(safetensors_open("/dev/null", &f), LOPT_ERR_IO);
    EXPECT_EQ(f, nullptr);
}

lopt_status fill_count(void *self, size_t index, size_t first, size_t count, void *buffer) {
    if (self && index == 1) return lopt_last_error(), LOPT_ERR_TASK;
    for (size_t i = 0; i < count; i++) static_cast<float *>(buffer)[i] = float(index * 1000000 + first + i);
    return LOPT_OK;
}
const safetensors_tensor two_tensors[] = {{"first", SAFETENSORS_F32, 2, {700, 1000}}, {"second", SAFETENSORS_F32, 1, {3}}};
const safetensors_pair pairs[] = {{"format", "test"}, {"quote", "a \"b\" \\ \n \xc3\xa4"}, {"my\"checksum", "no digits"}};

TEST(Safetensors, NeitherAFolderNorAPipe) {
    ScratchDir dir;
    const std::string pipe = dir / "pipe";
    ASSERT_EQ(mkfifo(pipe.c_str(), 0666), 0); // nobody writes into it: opening it must not wait
    for (const std::string &path : {std::string(dir / "."), pipe}) {
        safetensors_file *f = nullptr;
        EXPECT_EQ(safetensors_open(path.c_str(), &f), LOPT_ERR_IO) << path;
        EXPECT_NE(std::string(lopt_last_error()).find("regular file"), std::string::npos) << lopt_last_error();
    }
}

TEST(Safetensors, WritesWhatItReads) {
    ScratchDir dir;
    safetensors_file *f = nullptr;
    ASSERT_EQ(safetensors_write((dir / "f").c_str(), pairs, 3, two_tensors, 2, fill_count, nullptr), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(safetensors_open((dir / "f").c_str(), &f), LOPT_OK) << lopt_last_error();
    for (const safetensors_pair &pair : pairs) EXPECT_STREQ(safetensors_metadata(f, pair.key), pair.value);
    EXPECT_TRUE(safetensors_has(f, "first"));
    EXPECT_FALSE(safetensors_has(f, "third") || safetensors_has(f, "__metadata__"));
    EXPECT_EQ(std::strlen(safetensors_metadata(f, "checksum")), 16u);
    const void *data = nullptr;
    ASSERT_EQ(safetensors_data(f, &two_tensors[0], &data), LOPT_OK);
    for (size_t i : {size_t(0), size_t(123456), size_t(699999)}) {
        float x;
        std::memcpy(&x, static_cast<const char *>(data) + 4 * i, 4);
        EXPECT_EQ(x, float(i));
    }
    safetensors_close(f);
    // again: the same bytes
    const std::string first = read_file(dir / "f");
    ASSERT_EQ(safetensors_write((dir / "f").c_str(), pairs, 3, two_tensors, 2, fill_count, nullptr), LOPT_OK);
    EXPECT_EQ(read_file(dir / "f"), first);
}

// Beyond 16 MiB a file is mapped.
TEST(Safetensors, ReadsLargeFilesToo) {
    ScratchDir dir;
    const std::string path = dir / "f";
    safetensors_file *f = nullptr;
    const safetensors_tensor large = {"large", SAFETENSORS_F32, 1, {5000000}};
    ASSERT_EQ(safetensors_write(path.c_str(), pairs, 3, &large, 1, fill_count, nullptr), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(safetensors_open(path.c_str(), &f), LOPT_OK) << lopt_last_error();
    const void *data = nullptr;
    ASSERT_EQ(safetensors_data(f, &large, &data), LOPT_OK);
    float last;
    std::memcpy(&last, static_cast<const char *>(data) + 4 * 4999999, 4);
    EXPECT_EQ(last, 4999999.0f);
    safetensors_close(f);
    std::string bytes = read_file(path);
    bytes[bytes.size() / 2] ^= 1;
    write_file(path, bytes);
    EXPECT_EQ(safetensors_open(path.c_str(), &f), LOPT_ERR_FORMAT);
}

// As cp does with the file that it writes over.
TEST(Safetensors, MayBeCutWhileItIsOpen) {
    ScratchDir dir;
    safetensors_file *f = nullptr;
    ASSERT_EQ(safetensors_write((dir / "f").c_str(), pairs, 3, two_tensors, 2, fill_count, nullptr), LOPT_OK) << lopt_last_error();
    ASSERT_EQ(safetensors_open((dir / "f").c_str(), &f), LOPT_OK) << lopt_last_error();
    std::filesystem::resize_file(dir / "f", 0);
    const void *data = nullptr;
    ASSERT_EQ(safetensors_data(f, &two_tensors[0], &data), LOPT_OK);
    float x;
    std::memcpy(&x, static_cast<const char *>(data) + 4 * 699999, 4);
    EXPECT_EQ(x, 699999.0f);
    safetensors_close(f);
}

TEST(Safetensors, AFailedWriteKeepsTheOldFileAndLeavesNothingBehind) {
    ScratchDir dir;
    const std::string path = dir / "f";
    write_file(path, "precious");
    int failing = 1;
    EXPECT_EQ(safetensors_write(path.c_str(), pairs, 3, two_tensors, 2, fill_count, &failing), LOPT_ERR_TASK);
    EXPECT_EQ(read_file(path), "precious");
    struct rlimit old, low;
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = old;
    low.rlim_cur = 100000; // a disk that fills up
    signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
    EXPECT_EQ(safetensors_write(path.c_str(), pairs, 3, two_tensors, 2, fill_count, nullptr), LOPT_ERR_IO);
    setrlimit(RLIMIT_FSIZE, &old);
    EXPECT_EQ(read_file(path), "precious");
    EXPECT_EQ(files_in(dir.path), 1u);
    EXPECT_EQ(safetensors_write("/nonexistent/dir/f", pairs, 3, two_tensors, 2, fill_count, nullptr), LOPT_ERR_IO);
    EXPECT_EQ(safetensors_write("/proc/f", pairs, 3, two_tensors, 2, fill_count, nullptr), LOPT_ERR_IO);
}

// One allocation of the JSON library's after the other fails: what is written is whole, or nothing is.
long allowed_allocations = -1; // before one fails; -1: none will
bool allocation_fails() {
    if (allowed_allocations < 0) return false;
    return allowed_allocations-- == 0;
}
void *scarce(size_t size) { return allocation_fails() ? nullptr : std::malloc(size); }

TEST(Safetensors, NoMemoryIsNoLostKey) {
    ScratchDir dir;
    const std::string path = dir / "f";
    ASSERT_EQ(safetensors_write(path.c_str(), pairs, 3, two_tensors, 2, fill_count, nullptr), LOPT_OK) << lopt_last_error();
    const std::string whole = read_file(path);
    json_malloc_t taken = nullptr;
    json_free_t given = nullptr;
    json_get_alloc_funcs(&taken, &given);
    int failures = 0;
    bool over = false;
    for (long n = 0; !over; n++) {
        safetensors_file *f = nullptr;
        json_set_alloc_funcs(scarce, std::free);
        allowed_allocations = n;
        const lopt_status written = safetensors_write(path.c_str(), pairs, 3, two_tensors, 2, fill_count, nullptr);
        const std::string says = lopt_last_error();
        over = allowed_allocations >= 0; // none failed
        allowed_allocations = n;
        const lopt_status opened = safetensors_open(path.c_str(), &f);
        allowed_allocations = -1;
        safetensors_close(f);
        json_set_alloc_funcs(taken, given);
        ASSERT_EQ(read_file(path), whole) << n << ": " << lopt_status_name(written);
        if (written != LOPT_OK) {
            failures++;
            EXPECT_EQ(written, LOPT_ERR_MEMORY) << n << ": " << says;
        }
        if (n == 0) {
            EXPECT_EQ(opened, LOPT_ERR_MEMORY) << lopt_last_error();
        }
    }
    EXPECT_GT(failures, 20);
}

} // namespace
