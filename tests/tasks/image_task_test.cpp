// The families that read files (mnist_mlp, cifar10_mlp): how they find and share their data, their loss against a double reference, and
// that they can be trained.
#include <thread>

#include "tests/tasks/image_files.h"
#include "tests/tasks/support.h"

extern "C" {
#include "tasks/data/image_cache.h"
}

namespace {

struct Kind {
    const char *family, *variable;
    size_t pixels;
    Files (*files)(size_t train, size_t test); // train: a multiple of 5
};
Files cifar_of_total(size_t train, size_t test) { return cifar_files_of(train / 5, test); }
const Kind kinds[] = {{"mnist_mlp", "LOPT_MNIST_DIR", 784, mnist_files_of},
                      {"cifar10_mlp", "LOPT_CIFAR10_DIR", 3072, cifar_of_total}};

std::string spec_of(const Kind &k, size_t rows) { return std::string(k.family) + ":rows=" + std::to_string(rows); }

const float *shared_of(const Corpus &c) { return c.task.p->term[0].instance.shared; }

TEST(ImageTasks, SayWhatTheyNeed) {
    for (const Kind &k : kinds) {
        ScopedVariable folder(k.variable, "");
        for (bool set : {true, false}) {
            lopt_task *task = nullptr;
            if (!set) unsetenv(k.variable);
            EXPECT_EQ(lopt_task_create(k.family, 1, &task), LOPT_ERR_IO);
            EXPECT_EQ(task, nullptr);
            EXPECT_NE(std::string(lopt_last_error()).find(std::string("set ") + k.variable), std::string::npos)
                << lopt_last_error();
        }
        ScratchDir dir;
        setenv(k.variable, dir.path.c_str(), 1);
        lopt_task *task = nullptr;
        EXPECT_EQ(lopt_task_create(k.family, 1, &task), LOPT_ERR_IO);
        EXPECT_NE(std::string(lopt_last_error()).find(dir.path), std::string::npos) << lopt_last_error();
        write_files(dir.path, k.files(100, 20));
        EXPECT_EQ(lopt_task_create(k.family, 1, &task), LOPT_ERR_FORMAT); // the default is 10,000
        EXPECT_NE(std::string(lopt_last_error()).find("rows=10000"), std::string::npos) << lopt_last_error();
        EXPECT_EQ(lopt_task_create((spec_of(k, 63)).c_str(), 1, &task), LOPT_ERR_ARGUMENT); // not one batch
    }
}

TEST(ImageTasks, ShareTheirDataAndNoticeWhenItChanges) {
    for (const Kind &k : kinds) {
        ScratchDir first, second;
        write_files(first.path, k.files(100, 20));
        write_files(second.path, k.files(110, 30));
        ScopedVariable folder(k.variable, first.path);
        Corpus a(spec_of(k, 90), 1), b(spec_of(k, 90), 2), fewer(spec_of(k, 70), 3);
        EXPECT_EQ(shared_of(a), shared_of(b));
        EXPECT_EQ(shared_of(a), shared_of(fewer));
        Corpus more(spec_of(k, 100), 3);
        EXPECT_EQ(more.task.p->term[0].instance.shared_train, 100u);
        setenv(k.variable, second.path.c_str(), 1);
        Corpus other(spec_of(k, 90), 1);
        EXPECT_EQ(other.task.p->term[0].instance.shared_test, 30u);
        EXPECT_EQ(a.task.p->term[0].instance.shared_test, 20u); // and the old data are still there
        const std::vector<float> x = a.start(1);
        EXPECT_EQ(a.full_loss(x), b.full_loss(x));
        write_files(second.path, k.files(120, 40)); // the same folder, other files
        Corpus anew(spec_of(k, 90), 1);
        EXPECT_EQ(anew.task.p->term[0].instance.shared_test, 40u);
    }
}

TEST(ImageTasks, AreReadOnceByManyThreads) {
    for (const Kind &k : kinds) {
        ScratchDir dir;
        write_files(dir.path, k.files(100, 20));
        ScopedVariable folder(k.variable, dir.path);
        std::vector<const float *> seen(8);
        std::vector<std::thread> threads;
        Corpus keeper(spec_of(k, 100));
        for (size_t i = 0; i < seen.size(); i++)
            threads.emplace_back([&, i] {
                for (int round = 0; round < 20; round++) seen[i] = shared_of(Corpus(spec_of(k, 64 + i)));
            });
        for (std::thread &t : threads) t.join();
        for (const float *data : seen) EXPECT_EQ(data, shared_of(keeper));
    }
}

// Cross-entropy of a network of one hidden ReLU layer of 64, in double, from the bytes that the files were made of.
double reference_loss(const std::vector<float> &x, size_t pixels, size_t rows) {
    const float *w1 = x.data(), *b1 = w1 + pixels * 64, *w2 = b1 + 64, *b2 = w2 + 640;
    double sum = 0;
    for (size_t r = 0; r < rows; r++) {
        double hidden[64], logit[10], total = 0;
        for (size_t h = 0; h < 64; h++) {
            hidden[h] = b1[h];
            for (size_t p = 0; p < pixels; p++) hidden[h] += made_pixel(r, p) / 255.0 * w1[p * 64 + h];
            hidden[h] = hidden[h] > 0 ? hidden[h] : 0;
        }
        for (size_t c = 0; c < 10; c++) {
            logit[c] = b2[c];
            for (size_t h = 0; h < 64; h++) logit[c] += hidden[h] * w2[h * 10 + c];
            total += std::exp(logit[c]);
        }
        sum += std::log(total) - logit[made_label(r)];
    }
    return sum / double(rows);
}

TEST(ImageTasks, LossIsTheFormula) {
    provide_small_data_sets();
    for (const Kind &k : kinds)
        for (size_t rows : {64u, 101u}) {
            Corpus c(spec_of(k, rows));
            ASSERT_EQ(c.total, (k.pixels + 1) * 64 + 650);
            const std::vector<float> x = moved(c.start(4), direction(c.total, 2), 1.0);
            const double want = reference_loss(x, k.pixels, rows);
            EXPECT_NEAR(c.full_loss(x), want, 1e-5 * want);
            EXPECT_NEAR(c.full_loss(std::vector<float>(c.total, 0.0f)), std::log(10.0), 1e-6);
        }
}

// Made images are easy; what counts is that training rows teach and test rows, which are others, are judged.
TEST(ImageTasks, AreLearnedByPlainGradientDescent) {
    provide_small_data_sets();
    for (const Kind &k : kinds) {
        Corpus c(spec_of(k, 120));
        std::vector<float> x = c.start(1);
        const double before = c.full_loss(x), chance = task_test_accuracy(c.task.p, x.data(), c.workspace);
        for (uint64_t t = 0; t < 150; t++) x = moved(x, c.gradient(1, t, x), k.pixels > 1000 ? -0.01 : -0.03);
        EXPECT_LT(c.full_loss(x), 0.3 * before) << k.family;
        EXPECT_LT(chance, 0.5);
        EXPECT_GT(task_test_accuracy(c.task.p, x.data(), c.workspace), 0.9) << k.family;
    }
}

} // namespace
