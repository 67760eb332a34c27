// The instances that the registry's tests walk, and how their tests are named.
#pragma once
#include "tests/tasks/image_files.h"
#include "tests/tasks/support.h"

// Parameters from which on a task is tried less often, so that all tests take minutes under sanitizers too.
const size_t LARGE = 5000;
inline size_t size_of(const std::string &spec) {
    size_t counts[64] = {}, n = 0, total = 0;
    EXPECT_EQ(lopt_task_shape(spec.c_str(), &n, counts, 64), LOPT_OK) << spec;
    for (size_t count : counts) total += count;
    return total;
}

inline std::vector<std::string> all_instances() {
    std::vector<std::string> specs;
    for (size_t i = 0; const lopt_family_info *f = lopt_family_get(i); i++) {
        if (f->files_variable) continue; // below
        for (size_t k = 0; k < f->num_instances; k++) specs.push_back(f->instances[k]);
        const std::string first = f->num_instances ? f->instances[0] : f->name,
                          colon = first.find(':') == std::string::npos ? ":" : ",";
        if (f->num_keys == 0 || size_of(first) > LARGE) continue; // a group: its instances are sums and transforms already
        specs.push_back(first + colon + "scale=3");
        const bool has_log = std::string(f->name) != "sum_of_quadratics"; // its minibatches' losses may be negative
        specs.push_back(first + colon + "model_spread=2,tensor_spread=4,parameter_spread=3," + (has_log ? "log=1," : "") +
                        "sparse=0.3,noise=0.01");
    }
    return specs;
}

// Families of files that most do not have, on small files made for the test.
inline std::vector<std::string> file_instances() {
    std::vector<std::string> specs;
    provide_small_data_sets();
    for (size_t i = 0; const lopt_family_info *f = lopt_family_get(i); i++)
        if (f->files_variable) specs.push_back(std::string(f->name) + ":rows=96");
    return specs;
}

inline std::string test_name(const ::testing::TestParamInfo<std::string> &info) {
    std::string name = info.param;
    for (char &ch : name) ch = std::isalnum(static_cast<unsigned char>(ch)) ? ch : '_';
    return name;
}
