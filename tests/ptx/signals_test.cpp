// Blocks that signal to each other within a launch: that the machine carries it out, and that it sees what a signal does not order.
#include <set>

#include "tests/ptx/bench.h"

namespace {

using ptx::Check;
using ptx::expect_always;
using ptx::expect_fault;
using ptx::expect_fine;
using ptx::expect_seen;
using ptx::SCHEDULES;
using Bench = ptx::Zeros;

const char RACE[] = "nothing orders the two";

// Words at the start of memory are signals; behind them, at 256, 512 and so on, there is one for every thread.
const std::string BARRIER = "bar.sync 0;\n", FIRST = "setp.ne.s32 %p1, %r1, 0;\n"; // so that @!%p1 is the first thread
const std::string RELEASE = "st.release.gpu.global.u32 [%rd1], 1;\n", ACQUIRE = "ld.acquire.gpu.global.u32 %r20, [%rd1];\n";
const std::string COUNT = "atom.acq_rel.gpu.global.add.u32 %r20, [%rd1], 1;\n",
                  LOOK = "atom.acq_rel.gpu.global.add.u32 %r20, [%rd1], 0;\n";
const std::string COUNT_RELAXED = "atom.relaxed.gpu.global.add.u32 %r20, [%rd1], 1;\n";
const std::string LOOK_RELAXED = "atom.relaxed.gpu.global.add.u32 %r20, [%rd1], 0;\n";
const std::string COUNT_ACQUIRE = "atom.acquire.gpu.global.add.u32 %r20, [%rd1], 1;\n",
                  COUNT_RELEASE = "atom.release.gpu.global.add.u32 %r20, [%rd1], 1;\n";
const std::string LOOK_ACQUIRE = "atom.acquire.gpu.global.add.u32 %r20, [%rd1], 0;\n",
                  LOOK_RELEASE = "atom.release.gpu.global.add.u32 %r20, [%rd1], 0;\n";
const std::string SET = "st.relaxed.gpu.global.u32 [%rd1], 1;\n";
const std::string SEE = "ld.relaxed.gpu.global.u32 %r20, [%rd1];\n"; // a look that orders nothing
const std::string WRITE = "add.s32 %r7, %r1, 7;\nst.global.u32 [%rd3+256], %r7;\n", READ = "ld.global.u32 %r8, [%rd3+256];\n";
const std::string WRITE_OTHER = "add.s32 %r7, %r1, 70;\nst.global.u32 [%rd3+256], %r7;\n",
                  KEEP = "st.global.u32 [%rd3+512], %r8;\n";

// The same with another word of the signals'.
std::string of_word(const std::string &signal, unsigned word) {
    const size_t at = signal.find("[%rd1");
    return signal.substr(0, at) + "[%rd1+" + std::to_string(4 * word) + signal.substr(signal.find(']'));
}
std::string first(const std::string &instructions) {
    std::string all = FIRST;
    for (size_t at = 0, end; at < instructions.size(); at = end) {
        end = instructions.find('\n', at) + 1;
        all += "@!%p1 " + instructions.substr(at, end - at);
    }
    return all;
}
// The first thread looks until it sees a number, or more.
std::string wait(const std::string &look, unsigned number = 1) {
    static unsigned labels = 0;
    const std::string l = std::to_string(++labels);
    return FIRST + "@%p1 bra $LE" + l + ";\n$LW" + l + ":\n" + look + "setp.ge.u32 %p2, %r20, " + std::to_string(number) +
           ";\n@%p2 bra $LE" + l + ";\nnanosleep.u32 100;\nbra.uni $LW" + l + ";\n$LE" + l + ":\n";
}
// What each block does, by its number.
std::string blocks(const std::vector<std::string> &bodies) {
    std::string all;
    for (size_t k = 0; k < bodies.size(); k++) {
        const std::string l = "$LB" + std::to_string(k);
        all += "setp.ne.s32 %p3, %r2, " + std::to_string(k) + ";\n@%p3 bra " + l + ";\n" + bodies[k] + "ret;\n" + l + ":\n";
    }
    return all;
}

void message_is_there(Bench &b) {
    for (uint32_t i = 0; i < 64; i++) EXPECT_EQ(b.at<uint32_t>(128 + i), i + 7) << i;
}

TEST(PtxSignals, CarryAMessageBetweenBarriers) {
    const std::string sent = WRITE + BARRIER + first(RELEASE), read = BARRIER + READ + KEEP;
    expect_fine(blocks({sent, wait(ACQUIRE) + read}), 2, message_is_there);
    expect_fine(blocks({WRITE + BARRIER + first(COUNT), wait(ACQUIRE) + read}), 2, message_is_there);
    expect_fine(blocks({sent, wait(LOOK) + read}), 2, message_is_there);
    expect_seen(blocks({WRITE + first(RELEASE), wait(ACQUIRE) + read}), 2, RACE);
    expect_seen(blocks({sent, wait(ACQUIRE) + READ + KEEP}), 2, RACE);
    expect_seen(blocks({first(RELEASE) + WRITE + BARRIER, wait(ACQUIRE) + read}), 2, RACE);
    expect_seen(blocks({WRITE + BARRIER + first(COUNT_RELAXED), wait(ACQUIRE) + read}), 2, RACE);
    expect_seen(blocks({sent, wait(LOOK_RELAXED) + read}), 2, RACE);
    expect_fine(blocks({WRITE + BARRIER + first(COUNT_RELEASE), wait(LOOK_ACQUIRE) + read}), 2, message_is_there);
    expect_seen(blocks({WRITE + BARRIER + first(COUNT_ACQUIRE), wait(ACQUIRE) + read}), 2, RACE);
    expect_seen(blocks({sent, wait(LOOK_RELEASE) + read}), 2, RACE);
    expect_seen(blocks({WRITE + BARRIER + first(SET), wait(ACQUIRE) + read}), 2, "reads what another thread writes");
    expect_seen(blocks({sent, wait(SEE) + read}), 2, "reads what another thread writes");
    expect_fine(blocks({sent, wait(SEE) + first(ACQUIRE) + read}), 2, message_is_there);
    // not even for the thread that signals, or the one that looks
    const std::string write_one = first("st.global.u32 [%rd1+256], 7;\n"), read_one = first("ld.global.u32 %r8, [%rd1+256];\n");
    expect_fine(blocks({write_one + BARRIER + first(RELEASE), wait(ACQUIRE) + BARRIER + read_one}), 2);
    expect_always(blocks({write_one + first(RELEASE), wait(ACQUIRE) + BARRIER + read_one}), 2, "reads what another thread writes");
    expect_always(blocks({write_one + BARRIER + first(RELEASE), wait(ACQUIRE) + read_one}), 2, "reads what another thread writes");
}

TEST(PtxSignals, AreNoPlainReadsAndWrites) {
    const std::string plain_write = "st.global.u32 [%rd1], 1;\n", plain_read = "ld.global.u32 %r20, [%rd1];\n",
                      read = BARRIER + READ + KEEP;
    expect_seen(blocks({WRITE + BARRIER + first(plain_write), wait(plain_read) + read}), 2, RACE);
    expect_seen(blocks({WRITE + BARRIER + first(plain_write), wait(ACQUIRE) + read}), 2, RACE);
    expect_seen(blocks({WRITE + BARRIER + first(RELEASE), wait(plain_read) + read}), 2, RACE);
    expect_seen(blocks({first(RELEASE), first(plain_write)}), 2, "by which others signal");
    expect_seen(blocks({first(RELEASE), first(plain_write)}), 2, "writes what another thread writes");
    expect_seen(blocks({first(ACQUIRE), first(plain_write)}), 2, "in which others look for a signal");
    expect_seen(blocks({first(ACQUIRE), first(plain_write)}), 2, "reads what another thread writes");
    expect_seen(blocks({first(RELEASE), first(plain_read)}), 2, "writes what another thread reads");
    expect_seen(blocks({first(RELEASE), first("ld.global.u8 %r20, [%rd1+3];\n")}), 2, "by which others signal");
    expect_fine(blocks({first(ACQUIRE), first(plain_read)}), 2);
    expect_fine(blocks({first(RELEASE), first(of_word(plain_write, 1))}), 2);
    // within a block, and what it has told another of
    expect_fine(first(RELEASE) + BARRIER + plain_read + BARRIER + first(plain_write) + BARRIER + first(ACQUIRE), 1);
    expect_seen(first(RELEASE) + plain_read, 1, RACE);
    expect_fine(
        blocks({first(RELEASE) + BARRIER + first(of_word(RELEASE, 1)), wait(of_word(ACQUIRE, 1)) + BARRIER + plain_read + KEEP}),
        2);
}

TEST(PtxSignals, LetTheLastOfSeveralSumWhatTheyWrote) {
    const std::string write =
        "mad.lo.s32 %r7, %r2, 100, %r1;\nadd.s32 %r7, %r7, 1;\nmul.wide.u32 %rd4, %r2, 256;\nadd.s64 %rd5, %rd3, %rd4;\n"
        "st.global.u32 [%rd5+1024], %r7;\n";
    const auto last = [](const std::string &count) {
        return first(count) + "@!%p1 st.shared.u32 [%r4], %r20;\n" + BARRIER +
               "ld.shared.u32 %r21, [%r4];\nsetp.ne.s32 %p4, %r21, 4;\n"
               "@%p4 bra $LN;\nmov.u32 %r22, 0;\nmov.u32 %r23, 0;\nadd.s64 %rd6, %rd3, 1024;\n$LS:\nld.global.u32 %r24, [%rd6];\n"
               "add.s32 %r22, %r22, %r24;\nadd.s64 %rd6, %rd6, 256;\nadd.s32 %r23, %r23, 1;\nsetp.lt.u32 %p5, %r23, 5;\n@%p5 bra $LS;\n"
               "st.global.u32 [%rd3+256], %r22;\n$LN:\n";
    };
    const Check sums = [](Bench &b) {
        for (uint32_t i = 0; i < 64; i++) EXPECT_EQ(b.at<uint32_t>(64 + i), 5 * i + 1005) << i;
    };
    for (unsigned resident : {1, 3, 5}) expect_fine(write + BARRIER + last(COUNT), 5, sums, resident);
    expect_seen(write + BARRIER + last(COUNT_RELAXED), 5, RACE);
    expect_seen(write + last(COUNT), 5, RACE);
}

TEST(PtxSignals, OrderAWriterAfterAllReaders) {
    const auto reader = [](unsigned word) { return READ + BARRIER + first(of_word(RELEASE, word)); };
    const auto later = [](unsigned word) { return wait(of_word(LOOK_RELAXED, word)) + BARRIER; }; // but not ordered
    const auto seen = [](unsigned word) { return wait(of_word(ACQUIRE, word)); };
    const std::vector<std::string> readers = {reader(0), later(0) + reader(1), later(1) + reader(2)};
    const auto with = [&](const std::string &writer) {
        std::vector<std::string> all = readers;
        all.push_back(writer);
        return blocks(all);
    };
    expect_fine(with(seen(0) + seen(1) + seen(2) + BARRIER + WRITE), 4);
    expect_fine(with(seen(0) + BARRIER + READ + BARRIER + seen(1) + seen(2) + BARRIER + WRITE), 4); // a reader too
    const char race[] = "writes what another thread reads";
    expect_always(with(seen(0) + seen(1) + later(2) + BARRIER + WRITE), 4, race);
    expect_always(with(seen(0) + seen(2) + BARRIER + WRITE), 4, race);
    expect_always(with(seen(1) + seen(2) + BARRIER + WRITE), 4, race);
    expect_always(with(seen(2) + BARRIER + READ + BARRIER + seen(1) + BARRIER + WRITE), 4, race);
    expect_always(with(later(2) + WRITE), 4, race);
    // readers of one of two words that another has read
    const std::string read_next = "ld.global.u32 %r8, [%rd3+512];\n", write_next = "st.global.u32 [%rd3+512], %r1;\n";
    const std::string a = read_next + reader(0), b = later(0) + reader(1),
                      c = later(1) + read_next + BARRIER + first(of_word(RELEASE, 2));
    expect_fine(blocks({a, b, c, seen(0) + seen(2) + BARRIER + write_next}), 4);
    expect_always(blocks({a, b, c, seen(0) + seen(1) + later(2) + write_next}), 4, race);
    // by counting; whoever is last writes
    const auto last = [](const std::string &count) {
        return READ + BARRIER + first(count) + "@!%p1 st.shared.u32 [%r4], %r20;\n" + BARRIER +
               "ld.shared.u32 %r21, [%r4];\nsetp.ne.s32 %p4, %r21, 3;\n@%p4 bra $LN;\n" + WRITE + "$LN:\n";
    };
    for (unsigned resident : {1, 2, 5}) expect_fine(last(COUNT), 4, nullptr, resident);
    expect_always(last(COUNT_RELAXED), 4, race);
}

TEST(PtxSignals, OrderAReaderAfterAllThatWroteTheSameNumber) {
    const auto writer = [](unsigned word) { return WRITE + BARRIER + first(of_word(RELEASE, word)); };
    const auto later = [](unsigned word) { return wait(of_word(LOOK_RELAXED, word)) + BARRIER; };
    const auto seen = [](unsigned word) { return wait(of_word(ACQUIRE, word)); };
    const std::string a = writer(0), b = later(0) + writer(1);
    expect_fine(blocks({a, b, seen(0) + seen(1) + BARRIER + READ + KEEP}), 3, message_is_there);
    expect_fine(blocks({a, b, WRITE}), 3);
    expect_always(blocks({a, b, seen(0) + later(1) + BARRIER + READ + KEEP}), 3, "reads what another thread writes");
    expect_always(blocks({a, b, seen(1) + BARRIER + READ + KEEP}), 3, "reads what another thread writes");
}

TEST(PtxSignals, PassOnWhatABlockHasHeard) {
    const std::string a = WRITE + BARRIER + first(RELEASE), pass = first(of_word(RELEASE, 1)),
                      c = wait(of_word(ACQUIRE, 1)) + BARRIER;
    expect_fine(blocks({a, wait(ACQUIRE) + BARRIER + pass, c + READ + KEEP}), 3, message_is_there);
    expect_fine(blocks({a, wait(ACQUIRE) + BARRIER + READ + KEEP + BARRIER + pass, c + WRITE_OTHER}), 3, message_is_there);
    expect_seen(blocks({a, wait(ACQUIRE) + pass, c + READ + KEEP}), 3, RACE); // not yet known
    expect_seen(blocks({a, wait(ACQUIRE) + BARRIER + READ + pass, c + WRITE_OTHER}), 3, "writes what another thread reads");
}

TEST(PtxSignals, AreReplacedByAReleaseAndKeptBySums) {
    const std::string a = WRITE + BARRIER + first(RELEASE), c = wait(ACQUIRE, 2) + BARRIER + READ + KEEP;
    expect_fine(blocks({a, wait(ACQUIRE) + first(COUNT_RELAXED), c}), 3, message_is_there);
    expect_fine(blocks({a, wait(ACQUIRE) + first(COUNT), c}), 3, message_is_there);
    expect_seen(blocks({a, wait(ACQUIRE) + first("st.release.gpu.global.u32 [%rd1], 2;\n"), c}), 3, RACE);
}

TEST(PtxSignals, GiveEveryTicketOnce) {
    const std::string body =
        "mad.lo.s32 %r7, %r2, 64, %r1;\natom.relaxed.gpu.global.add.u32 %r20, [%rd1+4], 1;\nmul.wide.u32 %rd4, %r20, 4;\n"
        "add.s64 %rd5, %rd1, %rd4;\nst.global.u32 [%rd5+1024], %r7;\n"
        "@!%p1 atom.acq_rel.gpu.global.add.u32 %r20, [%rd1+8], -1;\n";
    const Check once = [](Bench &b) {
        std::set<uint32_t> takers;
        for (uint32_t i = 0; i < 9 * 64; i++) takers.insert(b.at<uint32_t>(256 + i));
        EXPECT_EQ(takers.size(), 9u * 64u);
        EXPECT_EQ(*takers.rbegin(), 9u * 64u - 1);
        EXPECT_EQ(b.at<uint32_t>(1), 9u * 64u);
        EXPECT_EQ(b.at<uint32_t>(2), uint32_t(-9));
    };
    expect_fine(FIRST + body, 9, once);
}

TEST(PtxSignals, ThatNobodyCanGiveAreNotAwaited) {
    const char ever[] = "waits for ever: all blocks at work only wait";
    const std::string wakes = first(RELEASE), waits = wait(ACQUIRE);
    expect_fine(blocks({wakes, waits}), 2, nullptr, 2);
    expect_seen(blocks({wakes, waits}), 2, ever, 1);
    expect_seen(blocks({wakes, wait(LOOK_RELAXED)}), 2, ever, 1);
    expect_seen(blocks({wakes, wait("ld.global.u32 %r20, [%rd1];\n")}), 2, ever, 1);
    const std::string all_meet = first(COUNT) + wait(ACQUIRE, 4);
    expect_fine(all_meet, 4, nullptr, 4);
    expect_seen(all_meet, 4, ever, 3);
    // who waits for the ticket before its own is never alone
    const std::string in_turn = first(COUNT_RELAXED) +
                                "@%p1 bra $LE;\nmul.wide.u32 %rd4, %r20, 4;\nadd.s64 %rd5, %rd1, %rd4;\n"
                                "setp.eq.s32 %p4, %r20, 0;\n@%p4 bra $LD;\n$LW:\nld.acquire.gpu.global.u32 %r21, [%rd5];\n"
                                "setp.ne.s32 %p2, %r21, 0;\n@%p2 bra $LD;\nnanosleep.u32 100;\nbra.uni $LW;\n"
                                "$LD:\nst.release.gpu.global.u32 [%rd5+4], 1;\n$LE:\n";
    for (unsigned resident : {1, 2, 5}) expect_fine(in_turn, 12, nullptr, resident);
}

TEST(PtxSignals, AreNotAllThatBlocksDoForLong) {
    const std::string work[] = {"st.global.u32 [%rd3+256], %r9;\n", COUNT_RELAXED, BARRIER};
    for (const std::string &w : work)
        expect_fine("mov.u32 %r9, 0;\n$LA:\n" + w +
                        "nanosleep.u32 100;\nadd.s32 %r9, %r9, 1;\nsetp.lt.u32 %p4, %r9, 26000;\n@%p4 bra $LA;\n",
                    1, nullptr, 1, 1);
}

TEST(PtxSignals, ASleepEndsATurn) {
    // the one counts its looks, the other works for a while
    const std::string count =
        "mov.u32 %r9, 0;\n" + wait("add.s32 %r9, %r9, 1;\n" + ACQUIRE) + "@!%p1 st.global.u32 [%rd3+512], %r9;\n";
    const std::string work =
        "mov.u32 %r9, 0;\n$LA:\nadd.s32 %r9, %r9, 1;\nsetp.lt.u32 %p4, %r9, 5000;\n@%p4 bra $LA;\n" + first(RELEASE);
    for (unsigned schedule = 0; schedule < SCHEDULES; schedule++) {
        Bench b;
        b.machine.schedule = schedule;
        ASSERT_EQ(b.run(blocks({count, work}), 2, 32), "");
        EXPECT_LT(b.at<uint32_t>(128), 100u);
    }
}

TEST(PtxSignals, KeepToTheirLaunch) {
    Bench b;
    const std::string body = first(COUNT) + BARRIER;
    for (unsigned grid : {2, 9, 1, 40, 3}) EXPECT_EQ(b.run(body, grid), "");
    EXPECT_EQ(b.at<uint32_t>(0), 55u);
    EXPECT_EQ(b.run("ld.global.u32 %r20, [%rd1];\n" + BARRIER + first("st.global.u32 [%rd1], 7;\n")), "") << "plain, after them";
    expect_fault(b.run(blocks({first(RELEASE), first(of_word(ACQUIRE, 1)) + BARRIER + "st.global.u32 [%rd1], 9;\n"}), 2), RACE);
}

TEST(PtxSignals, AreWordsThatAreThere) {
    Bench b;
    ptx::Bench fresh(false);
    expect_fault(fresh.run(COUNT), "reads what nothing has written");
    expect_fault(fresh.run(ACQUIRE), "reads what nothing has written");
    EXPECT_EQ(fresh.run(first(RELEASE) + BARRIER + ACQUIRE + COUNT), "");
    EXPECT_EQ(fresh.run("ld.global.u32 %r20, [%rd1];\n"), "");
    expect_fault(fresh.run("ld.global.u32 %r20, [%rd1+4];\n"), "reads what nothing has written");
    expect_fault(b.run(of_word(ACQUIRE, 1024)), "signals outside of any allocation");
    expect_fault(b.run("st.release.gpu.global.u32 [%rd1+2], 1;\n"), "no multiple of 4");
    expect_fault(b.run("ld.acquire.sys.global.u32 %r20, [%rd1];\n"), "unknown instruction ld.acquire.sys.global.u32");
    expect_fault(b.run("atom.relaxed.gpu.global.max.u32 %r20, [%rd1], 1;\n"),
                 "unknown instruction atom.relaxed.gpu.global.max.u32");
}

} // namespace
