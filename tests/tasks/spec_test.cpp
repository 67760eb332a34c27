// Task specs and tasks of the user's own.
#include <thread>

#include "tests/support/quadratic_task.h"
#include "tests/tasks/support.h"

namespace {

TEST(Spec, CanonicalNamesLeaveOutDefaults) {
    const struct {
        const char *spec, *name;
    } cases[] = {{"quadratic:n=20,noise=0.5", "quadratic:n=20,noise=0.5"},
                 {"rosenbrock", "rosenbrock"},
                 {"rosenbrock:noise=0", "rosenbrock"},
                 {"mlp:batch=16,hidden=8x5,inputs=7", "mlp:inputs=7,batch=16"},
                 {"mlp:hidden=+8x5.0", "mlp"},
                 {"bowl:c=0.1,noise=0.12345678901234567", "bowl:c=0.1,noise=0.12345678901234566"}};
    for (const auto &c : cases) {
        Corpus task(c.spec), named(lopt_task_name(task.task.p));
        EXPECT_STREQ(lopt_task_name(named.task.p), lopt_task_name(task.task.p));
        EXPECT_EQ(task.start(1), named.start(1));
    }
}

TEST(Spec, RefusesWithAHint) {
    const struct {
        const char *spec, *says;
    } cases[] = {{"quadratik", "quadratic"},
                 {"", ""},
                 {":n=3", ""},
                 {"quadratic:", ""},
                 {"quadratic:m=3", "n"},
                 {"quadratic:n", "n"},
                 {"quadratic:n=", "n"},
                 {"quadratic:n=0", "from"},
                 {"quadratic:n=2.5", "whole"},
                 {"quadratic:n=1e9", "from"},
                 {"quadratic:n=nan", "from"},
                 {"quadratic:n=3x4", "left over"},
                 {"quadratic:n=3,n=4", "n"},
                 {"quadratic:n=3,", ""},
                 {"quadratic:n=3,,noise=1", ""},
                 {"mlp:hidden=", "hidden"},
                 {"mlp:hidden=3x", "hidden"},
                 {"mlp:hidden=0x3", "from"},
                 {"mlp:hidden=1x1x1x1x1x1x1x1x1x1x1x1x1x1x1", "hidden"},
                 {"mlp:batch=1001", "from"},
                 {"rosenbrock:noise=-1", "from"},
                 {"rosenbrock:noise=inf", "from"},
                 {"rosenbrock:noise=+inf", "from"},
                 {"quadratic:n=+0x14", "from"},
                 {"quadratic:n= 20", "from"},
                 {"quadratic:n=3 ", ""}};
    for (const auto &c : cases) {
        lopt_task *t = reinterpret_cast<lopt_task *>(1);
        EXPECT_EQ(lopt_task_create(c.spec, 0, &t), LOPT_ERR_ARGUMENT) << c.spec;
        EXPECT_NE(std::string(lopt_last_error()).find(c.says), std::string::npos) << c.spec << ": " << lopt_last_error();
        EXPECT_EQ(t, reinterpret_cast<lopt_task *>(1));
    }
    lopt_task *t = nullptr;
    EXPECT_EQ(lopt_task_create(nullptr, 0, &t), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_task_create("rosenbrock", 0, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_NE(lopt_task_create(std::string(100000, 'a').c_str(), 0, &t), LOPT_OK);
    EXPECT_NE(lopt_task_create(("mlp:hidden=" + std::string(5000, '1')).c_str(), 0, &t), LOPT_OK);
}

TEST(Spec, SurvivesNonsense) {
    const char *alphabet = "quadratic:n=3,mlphiden8x5.-e+ noise\t\n\x80%s";
    unsigned state = 1;
    for (int i = 0; i < 20000; i++) {
        std::string spec = i % 2 ? "mlp:inputs=3,hidden=4,batch=9" : "quadratic:n=3,noise=0.5";
        for (int k = 0; k < 1 + i % 4; k++) {
            state = state * 1664525u + 1013904223u;
            spec[(state >> 8) % spec.size()] = alphabet[(state >> 20) % std::strlen(alphabet)];
        }
        lopt_task *t = nullptr;
        if (lopt_task_create(spec.c_str(), 0, &t) == LOPT_OK) EXPECT_NE(t, nullptr);
        else EXPECT_STRNE(lopt_last_error(), "");
        lopt_task_free(t);
    }
}

TEST(Spec, ShapeIsThatOfTheTask) {
    for (const char *spec :
         {"quadratic:n=2048", "mlp:inputs=5,hidden=8x8x8x8,batch=100", "rosenbrock+quadratic:n=3+mlp:inputs=3,hidden=2,batch=10"}) {
        size_t n = 0, counts[16] = {}, only[1] = {};
        ASSERT_EQ(lopt_task_shape(spec, &n, counts, 16), LOPT_OK);
        Corpus c(spec);
        ASSERT_EQ(n, task_num_tensors(c.task.p));
        for (size_t i = 0; i < n; i++) EXPECT_EQ(counts[i], task_counts(c.task.p)[i]);
        size_t again = 0;
        ASSERT_EQ(lopt_task_shape(spec, &again, only, 1), LOPT_OK);
        EXPECT_EQ(again, n);
        EXPECT_EQ(only[0], counts[0]);
    }
    size_t n = 7;
    EXPECT_EQ(lopt_task_shape("quadratik", &n, nullptr, 0), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_task_shape(nullptr, &n, nullptr, 0), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_task_shape("bowl", nullptr, nullptr, 0), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_task_shape("bowl", &n, nullptr, 3), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(n, 7u);
}

TEST(Spec, NullIsHarmless) {
    lopt_task_free(nullptr);
    EXPECT_EQ(lopt_task_num_tensors(nullptr), 0u);
    EXPECT_EQ(lopt_task_counts(nullptr), nullptr);
    EXPECT_STREQ(lopt_task_name(nullptr), "");
}

int destroyed = 0;

TEST(UserTask, IsCheckedCopiedAndDestroyedOnce) {
    QuadraticTask q({2, 0, 0, 1}, {0, 1}, {3, 4});
    lopt_task_ops ops = q.ops();
    ops.destroy = [](void *) { destroyed++; };
    lopt_task *t = nullptr;
    auto refused = [&](auto change) {
        lopt_task_ops bad = ops;
        change(bad);
        EXPECT_EQ(lopt_task_from_ops(&bad, &q, &t), LOPT_ERR_ARGUMENT);
        EXPECT_EQ(t, nullptr);
    };
    const size_t zero = 0, huge[2] = {SIZE_MAX / 2, SIZE_MAX / 2};
    refused([](auto &o) { o.struct_size = 0; });
    refused([](auto &o) { o.struct_size = SIZE_MAX; });
    refused([](auto &o) { o.num_tensors = 0; });
    refused([](auto &o) { o.counts = nullptr; });
    refused([&](auto &o) { o.counts = &zero; });
    refused([&](auto &o) { o.counts = huge, o.num_tensors = 2; });
    refused([](auto &o) { o.init = nullptr; });
    refused([](auto &o) { o.loss_grad = nullptr; });
    EXPECT_EQ(lopt_task_from_ops(nullptr, &q, &t), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(lopt_task_from_ops(&ops, &q, nullptr), LOPT_ERR_ARGUMENT);
    EXPECT_EQ(destroyed, 0); // never taken over
    {
        std::string name = "temporary";
        size_t counts = 2;
        ops.name = name.c_str();
        ops.counts = &counts;
        ASSERT_EQ(lopt_task_from_ops(&ops, &q, &t), LOPT_OK);
        name = "overwritten";
        counts = 77;
    }
    EXPECT_STREQ(lopt_task_name(t), "temporary");
    EXPECT_EQ(lopt_task_counts(t)[0], 2u);
    lopt_task_free(t);
    EXPECT_EQ(destroyed, 1);
}

TEST(UserTask, CallbacksAreUsedAndTheirFailuresReported) {
    QuadraticTask q({2, 0, 0, 1}, {0, 1}, {3, 4});
    lopt_task_ops ops = q.ops();
    Corpus c("rosenbrock"); // for its helpers
    lopt_task_free(c.task.p);
    c.task.p = nullptr;
    ASSERT_EQ(lopt_task_from_ops(&ops, &q, &c.task.p), LOPT_OK);
    EXPECT_EQ(c.start(1), (std::vector<float>{3, 4}));
    double loss = 0;
    EXPECT_EQ(c.full_gradient({3, 4}, &loss), (std::vector<float>{12, 3}));
    EXPECT_EQ(loss, 0.5 * (36 + 9));
    EXPECT_EQ(c.product(0, 0, {3, 4}, {1, 1}), (std::vector<float>{4, 1}));
    EXPECT_TRUE(task_has_hvp(c.task.p));
    EXPECT_FALSE(task_is_shareable(c.task.p));
    q.fail_at = 5;
    std::vector<float> g(2);
    EXPECT_EQ(task_loss_grad(c.task.p, 0, 5, g.data(), nullptr, g.data(), c.workspace), LOPT_ERR_TASK);
    EXPECT_NE(std::string(lopt_last_error()).find("test_quadratic"), std::string::npos);
    // without full_loss_grad, loss_grad is the whole loss
    ops.full_loss_grad = nullptr;
    Task only;
    ASSERT_EQ(lopt_task_from_ops(&ops, &q, &only.p), LOPT_OK);
    EXPECT_FALSE(task_is_stochastic(only.p));
    const float x[2] = {3, 4};
    EXPECT_EQ(task_full_loss_grad(only.p, x, &loss, nullptr, c.workspace), LOPT_OK);
    EXPECT_EQ(loss, 22.5);
}

int entered = 0, worst = 0;
int slow_loss(void *, uint64_t, uint64_t, const float *const *, double *loss, float *const *) {
    worst = std::max(worst, ++entered);
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    entered--;
    *loss = 1;
    return 0;
}

TEST(UserTask, IsEnteredByOneThreadAtATime) {
    QuadraticTask q({1}, {0}, {1});
    lopt_task_ops ops = q.ops();
    ops.loss_grad = slow_loss;
    Task t;
    ASSERT_EQ(lopt_task_from_ops(&ops, &q, &t.p), LOPT_OK);
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        threads.emplace_back([&] {
            float x = 1, g = 0;
            for (uint64_t k = 0; k < 20; k++) EXPECT_EQ(task_loss_grad(t.p, 0, k, &x, nullptr, &g, nullptr), LOPT_OK);
        });
    for (std::thread &thread : threads) thread.join();
    EXPECT_EQ(worst, 1);
}

} // namespace
