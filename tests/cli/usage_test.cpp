// Help that teaches, and errors that say what to do.
#include <algorithm>
#include <filesystem>
#include <regex>

#include "tests/cli/support.h"

namespace {

TEST(Cli, BenchmarksDoNotBeginWhereTheirNumbersCannotBeWritten) {
    for (const char *path : {"/tmp", "/nonexistent/x.json"}) {
        const Outcome r = lopt({"bench", "step", "--params", "1k", "--seconds", "30", "--json", path});
        EXPECT_EQ(r.status, 1);
        EXPECT_EQ(r.out, "");
        EXPECT_TRUE(has(r.err, path)) << r.err;
    }
}

TEST(Cli, OptionsWithoutTheirValuesAreKnown) {
    for (const char *option : {"--set", "-s"}) {
        const Outcome r = lopt({"train", option});
        EXPECT_EQ(r.status, 2);
        EXPECT_TRUE(has(r.err, "option --set needs a value")) << r.err;
    }
    EXPECT_TRUE(has(lopt({"train", "-q"}).err, "unknown option -q"));
}

TEST(Cli, HelpOfEveryCommand) {
    for (const std::vector<std::string> &command : {std::vector<std::string>{},
                                                    {"train"},
                                                    {"eval"},
                                                    {"bench"},
                                                    {"bench", "step"},
                                                    {"bench", "unroll"},
                                                    {"bench", "estimators"},
                                                    {"bench", "comm"},
                                                    {"tasks"},
                                                    {"info"}}) {
        std::vector<std::string> arguments = command;
        arguments.push_back("--help");
        const Outcome r = lopt(arguments);
        EXPECT_EQ(r.status, 0);
        EXPECT_TRUE(has(r.out, "Usage: lopt")) << r.out;
        EXPECT_EQ(r.err, "");
        for (const std::string &word : command) EXPECT_TRUE(has(r.out, word));
        arguments.back() = "-h";
        EXPECT_EQ(lopt(arguments).out, r.out);
        const std::regex file("(configs|weights)/[a-z0-9.-]+\\.(json|safetensors)"); // what the examples name is there
        for (std::sregex_iterator f(r.out.begin(), r.out.end(), file), end; f != end; ++f)
            EXPECT_TRUE(std::filesystem::exists(LOPT_SOURCE_DIR "/" + f->str())) << f->str();
    }
    EXPECT_TRUE(has(lopt({"train", "--help"}).out, "--resume"));
    EXPECT_TRUE(has(lopt({"--help"}).out, "Examples"));
    EXPECT_EQ(lopt({"--version"}).out, "lopt " LOPT_VERSION "\n");
}

TEST(Cli, AnUnknownInstructionSetIsRefused) {
    for (const char *name : {"avx", "AVX2", "baselines"}) {
        setenv("LOPT_ISA", name, 1);
        const Outcome r = lopt({"info"});
        EXPECT_EQ(r.status, 2);
        EXPECT_TRUE(has(r.err, std::string("LOPT_ISA=") + name + " in the environment: it must be avx512, avx2 or baseline"))
            << r.err;
        EXPECT_EQ(lopt({"--help"}).status, 0);
    }
    setenv("LOPT_ISA", "baseline", 1);
    EXPECT_TRUE(has(lopt({"info"}).out, "instruction set    baseline"));
    setenv("LOPT_ISA", "", 1);
    EXPECT_EQ(lopt({"info"}).status, 0);
    unsetenv("LOPT_ISA");
}

struct Wrong {
    std::vector<std::string> arguments;
    const char *says;
};

TEST(Cli, WrongCommandLinesAreOneClearSentence) {
    const Wrong cases[] = {{{}, "train, eval"},
                           {{"trian"}, "did you mean train?"},
                           {{"train"}, "--out"},
                           {{"train", "--outt", "x"}, "--out"},
                           {{"train", "--out"}, "value"},
                           {{"train", "stray"}, "stray"},
                           {{"train", "--resume=yes"}, "no value"},
                           {{"eval"}, "weights"},
                           {{"eval", "--steps", "0", "--untrained"}, "--steps"},
                           {{"eval", "--steps", "ten", "--untrained"}, "--steps"},
                           {{"eval", "--seeds", "-1", "--untrained"}, "--seeds"},
                           {{"eval", "--horizons", "1,1", "--untrained", "--out", "/nonexistent"}, "horizons"},
                           {{"eval", "/nonexistent.safetensors"}, "/nonexistent.safetensors"},
                           {{"bench"}, "step"},
                           {{"bench", "stepp"}, "did you mean step?"},
                           {{"bench", "step", "--params", "1M,x"}, "--params"},
                           {{"bench", "step", "--attention", "maybe"}, "--attention"},
                           {{"bench", "step", "--launches", "one"}, "--launches"},
                           {{"bench", "step", "--launches", "fused", "--params", "1k"}, "--launches is for --device cuda"},
                           {{"bench", "step", "--found-inf", "--params", "1k"}, "--found-inf is for --device cuda"},
                           {{"bench", "step", "--device", "cuda", "--threads", "2"}, "--threads is for --device cpu"},
                           {{"bench", "step", "--device", "cuda", "--tensors", "3"}, "--tensors"},
                           {{"bench", "step", "--device", "cuda:999", "--params", "1k"}, "device \"cuda"},
                           {{"bench", "step", "--seconds", "0"}, "--seconds"},
                           {{"bench", "unroll", "--tasks", "quadratik"}, "quadratic"},
                           {{"bench", "estimators", "--task", "quadratik"}, "quadratic"},
                           {{"bench", "estimators", "--samples", "2"}, "--samples"},
                           {{"bench", "estimators", "--set", "es.sigmaa=1"}, "did you mean es.sigma?"},
                           {{"bench", "estimators", "--set", "estimator=pes"}, "all estimators"},
                           {{"bench", "estimators", "--sizes", "parm=3"}, "param"},
                           {{"tasks", "quadratik"}, "did you mean quadratic?"},
                           {{"tasks", "mlp", "bowl"}, "one family"},
                           {{"info", "/nonexistent"}, "/nonexistent"},
                           {{"info", "/etc/passwd"}, "/etc/passwd"}};
    for (const Wrong &w : cases) {
        const Outcome r = lopt(w.arguments);
        std::string line;
        for (const std::string &a : w.arguments) line += " " + a;
        EXPECT_TRUE(r.status == 1 || r.status == 2) << line << ": " << r.status;
        EXPECT_EQ(r.err.rfind("lopt: ", 0), 0u) << line << ": " << r.err;
        EXPECT_EQ(std::count(r.err.begin(), r.err.end(), '\n'), 1) << line << ": " << r.err;
        EXPECT_TRUE(has(r.err, w.says)) << line << ": " << r.err;
    }
}

TEST(Cli, TasksListsAndExplains) {
    const Outcome list = lopt({"tasks"}), mlp = lopt({"tasks", "mlp"}), json = lopt({"tasks", "--json"});
    for (const char *family : {"quadratic", "rosenbrock", "mlp", "digits_softmax"}) EXPECT_TRUE(has(list.out, family));
    EXPECT_TRUE(has(list.out, "held out"));
    for (const char *word :
         {"hidden", "batch", "noise", "mlp:inputs=8,hidden=32x64,batch=10", "in 6 tensors: 256 32 2048 64 128 2", "default"})
        EXPECT_TRUE(has(mlp.out, word)) << word;
    EXPECT_EQ(json.out[0], '[');
    EXPECT_TRUE(has(json.out, "\"formula\""));
}

TEST(Cli, InfoShowsTheBuild) {
    const Outcome r = lopt({"info"});
    EXPECT_EQ(r.status, 0);
    for (const char *word : {"instruction set", "threads", "bytes per parameter", "cpu; cuda: "})
        EXPECT_TRUE(has(r.out, word)) << word;
}

TEST(Cli, ConfigurationHelpListsEveryKey) {
    const Outcome r = lopt({"train", "--help-config"});
    EXPECT_EQ(r.status, 0);
    for (const char *key : {"window.min", "meta_optimizer.kind", "rmsprop|adam|adamw", "checkpoint.every"})
        EXPECT_TRUE(has(r.out, key)) << key;
}

TEST(Cli, BenchesPrintRoofsAndWriteJson) {
    ScratchDir dir;
    const Outcome step = lopt({"bench", "step", "--params", "10k", "--seconds", "0.01", "--threads", "1", "--attention", "off",
                               "--json", dir / "s.json"});
    EXPECT_EQ(step.status, 0) << step.err;
    for (const char *word : {"multiply-adds/s", "copy", "bytes", "FLOPs"}) EXPECT_TRUE(has(step.out, word)) << word;
    EXPECT_TRUE(has(read_file(dir / "s.json"), "share_of_fma"));
    const Outcome unroll = lopt(
        {"bench", "unroll", "--tasks", "rosenbrock;quadratic:n=3", "--steps", "5", "--seconds", "0.01", "--json", dir / "u.json"});
    EXPECT_EQ(unroll.status, 0) << unroll.err;
    EXPECT_TRUE(has(unroll.out, "rosenbrock"));
    EXPECT_TRUE(has(read_file(dir / "u.json"), "second_order_steps_per_second"));
    const Outcome estimators = lopt({"bench", "estimators", "--task", "quadratic:n=2", "--steps", "7", "--window", "3", "--samples",
                                     "5", "--sizes", "param=2,tensor=2,global=2", "--set", "es.pairs=2", "--json", dir / "e.json"});
    EXPECT_EQ(estimators.status, 0) << estimators.err;
    for (const char *word : {"bias", "variance", "tbptt", "es ", "pes", "nres", "mix"})
        EXPECT_TRUE(has(estimators.out, word)) << word;
    EXPECT_TRUE(has(read_file(dir / "e.json"), "\"bias_error\""));
    const Outcome nowhere = lopt({"bench", "step", "--params", "1k", "--seconds", "0.01", "--json", "/nonexistent/x"});
    EXPECT_EQ(nowhere.status, 1);
    EXPECT_EQ(nowhere.out, "") << "nothing is measured that cannot be kept";
    const Outcome fails =
        lopt({"bench", "unroll", "--tasks", "bowl;quadratik", "--steps", "5", "--seconds", "0.01", "--json", dir / "u.json"});
    EXPECT_NE(fails.status, 0);
    EXPECT_TRUE(has(read_file(dir / "u.json"), "rosenbrock")) << "figures of a run that failed replaced whole ones";
}

} // namespace
