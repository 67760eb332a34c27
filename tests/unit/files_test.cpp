// Files that are replaced whole or not at all, and folders.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>

#include "tests/support/golden.h"
#include "tests/support/scratch_dir.h"

extern "C" {
#include "csrc/io/atomic_file.h"
#include "csrc/io/files.h"
}

namespace {

TEST(AtomicFile, AppearsOnlyAtCommit) {
    ScratchDir dir;
    atomic_file f;
    ASSERT_EQ(atomic_file_begin((dir / "f").c_str(), &f), LOPT_OK);
    ASSERT_EQ(atomic_file_append(&f, "abcdef", 6), LOPT_OK);
    ASSERT_EQ(atomic_file_overwrite(&f, 2, "XY", 2), LOPT_OK);
    EXPECT_FALSE(std::filesystem::exists(dir / "f"));
    ASSERT_EQ(atomic_file_commit(&f), LOPT_OK);
    EXPECT_EQ(read_file(dir / "f"), "abXYef");
    ASSERT_EQ(atomic_file_begin((dir / "f").c_str(), &f), LOPT_OK);
    ASSERT_EQ(atomic_file_append(&f, "zzz", 3), LOPT_OK);
    atomic_file_abort(&f);
    EXPECT_EQ(read_file(dir / "f"), "abXYef");
    EXPECT_EQ(files_in(dir.path), 1u);
    // over a directory: refused, gone again
    ASSERT_TRUE(std::filesystem::create_directories(dir / "d/e"));
    EXPECT_EQ(atomic_file_write((dir / "d").c_str(), "x", 1), LOPT_ERR_IO);
    EXPECT_EQ(files_in(dir.path), 2u);
}

TEST(AtomicFile, RightsAreKept) {
    ScratchDir dir;
    const std::string path = dir / "f";
    const mode_t before = umask(022);
    for (const mode_t rights : {0644, 0600, 0664, 0640}) {
        struct stat info;
        if (rights != 0644) chmod(path.c_str(), rights);
        EXPECT_EQ(files_write_text(path.c_str(), "x"), LOPT_OK) << lopt_last_error();
        ASSERT_EQ(stat(path.c_str(), &info), 0);
        EXPECT_EQ(info.st_mode & 0777, rights);
    }
    umask(before);
}

TEST(AtomicFile, LinksStayLinks) {
    ScratchDir dir;
    ASSERT_TRUE(std::filesystem::create_directories(dir / "runs"));
    std::filesystem::create_symlink("runs/best", dir / "latest"); // which is to come
    std::filesystem::create_symlink(dir / "latest", dir / "far");
    std::filesystem::create_symlink("round", dir / "round");
    for (const char *text : {"first", "second"}) {
        EXPECT_EQ(files_write_text((dir / "far").c_str(), text), LOPT_OK) << lopt_last_error();
        EXPECT_EQ(read_file(dir / "runs/best"), text);
    }
    EXPECT_EQ(files_write_text((dir / "round").c_str(), "x"), LOPT_ERR_IO);
    EXPECT_NE(std::string(lopt_last_error()).find("follow"), std::string::npos) << lopt_last_error();
    for (const char *link : {"latest", "far", "round"}) EXPECT_TRUE(std::filesystem::is_symlink(dir / link)) << link;
    EXPECT_EQ(files_in(dir.path), 4u);
}

TEST(AtomicFile, NamesMayBeAsLongAsTheSystemTakes) {
    ScratchDir dir;
    for (const std::string &name :
         {std::string(200, 'n'), std::string(207, 'n'), std::string(208, 'n'), std::string(255, 'n'),
          std::string(251, 'n') + "\xF0\x9F\x9A\x80", std::string("\xE2\x82\xAC") + std::string(252, 'n')})
        for (const char *text : {"first", "second"}) {
            EXPECT_EQ(files_write_text((dir / name).c_str(), text), LOPT_OK) << name << ": " << lopt_last_error();
            EXPECT_EQ(read_file(dir / name), text);
        }
    EXPECT_EQ(files_in(dir.path), 6u);
    EXPECT_EQ(files_write_text((dir / std::string(256, 'n')).c_str(), "x"), LOPT_ERR_IO);
    EXPECT_NE(std::string(lopt_last_error()).find("too long"), std::string::npos) << lopt_last_error();
}

TEST(AtomicFile, TemporaryNamesKeepWholeCharacters) {
    for (size_t before = 0; before < 4; before++) {
        ScratchDir dir;
        std::string name(before, 'n');
        while (name.size() + 3 <= 255) name += "\xE2\x82\xAC";
        atomic_file f;
        ASSERT_EQ(atomic_file_begin((dir / name).c_str(), &f), LOPT_OK) << lopt_last_error();
        const std::string made = std::filesystem::path(f.temporary).filename();
        EXPECT_EQ((made.rfind("\xAC.") + 1 - before) % 3, 0u) << made;
        EXPECT_EQ(made.rfind("\xAC.") + 1, made.rfind('.', made.size() - 5)) << made;
        EXPECT_TRUE(atomic_file_is_temporary(made.c_str())) << made;
        atomic_file_abort(&f);
    }
}

// What a process of its own makes of it: 0, or the number of the signal that ended it and 1000.
int status_of(const std::function<int()> &work) {
    const pid_t child = fork();
    if (child == 0) _exit(work());
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(AtomicFile, ALimitOfSizesIsAnErrorAndNoSignal) {
    ScratchDir dir;
    write_file(dir / "f", "precious");
    const std::string path = dir / "f", large(5000, 'x');
    for (const bool blocked : {false, true}) {
        EXPECT_EQ(status_of([&] {
                      const struct rlimit low = {1000, 1000};
                      sigset_t limit, waiting;
                      sigemptyset(&limit);
                      sigaddset(&limit, SIGXFSZ);
                      signal(SIGXFSZ, SIG_DFL);
                      if (setrlimit(RLIMIT_FSIZE, &low) != 0 || pthread_sigmask(SIG_BLOCK, &limit, nullptr) != 0) return 1;
                      if (blocked) raise(SIGXFSZ); // one of the program's own stays
                      else pthread_sigmask(SIG_UNBLOCK, &limit, nullptr);
                      if (files_write_text(path.c_str(), large.c_str()) != LOPT_ERR_IO) return 2;
                      if (std::string(lopt_last_error()).find(std::strerror(EFBIG)) == std::string::npos) return 3;
                      sigpending(&waiting);
                      return sigismember(&waiting, SIGXFSZ) == int(blocked) ? 0 : 4;
                  }),
                  0)
            << blocked;
    }
    EXPECT_EQ(read_file(path), "precious");
    EXPECT_EQ(files_in(dir.path), 1u);
}

// Some may write in a folder but not list it, nor ask for it to be on the disk.
TEST(AtomicFile, AFolderThatCannotBeReadWillDo) {
    ScratchDir dir;
    const std::string below = dir / "below", path = below + "/f";
    ASSERT_TRUE(std::filesystem::create_directory(below));
    ASSERT_EQ(chmod(dir.path.c_str(), 0755), 0);
    ASSERT_EQ(chmod(below.c_str(), 0333), 0);
    EXPECT_EQ(status_of([&] {
                  if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0)) return 1; // who may read all
                  if (open(below.c_str(), O_RDONLY) >= 0) return 2;
                  return files_write_text(path.c_str(), "x") == LOPT_OK ? 0 : 3;
              }),
              0);
    ASSERT_EQ(chmod(below.c_str(), 0755), 0);
    EXPECT_EQ(read_file(path), "x");
    EXPECT_EQ(files_in(below), 1u);
}

TEST(Files, MakeDirectories) {
    ScratchDir dir;
    EXPECT_EQ(files_make_directory((dir / "a/b//c/").c_str()), LOPT_OK) << lopt_last_error();
    EXPECT_TRUE(std::filesystem::is_directory(dir / "a/b/c"));
    EXPECT_EQ(files_make_directory((dir / "a/b/c").c_str()), LOPT_OK);
    write_file(dir / "file", "");
    EXPECT_EQ(files_make_directory((dir / "file").c_str()), LOPT_ERR_IO);
    EXPECT_EQ(files_make_directory((dir / "file/x").c_str()), LOPT_ERR_IO);
    EXPECT_EQ(files_make_directory("/proc/x"), LOPT_ERR_IO);
}

} // namespace
