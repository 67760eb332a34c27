// The machine itself: that it computes what PTX says, and that it sees what must not be.
#include <cmath>

#include "tests/ptx/bench.h"

namespace {

using ptx::Bench;
using ptx::expect_fault;

TEST(PtxMachine, LanesThatWentDifferentWaysComeTogether) {
    Bench b; // lane i adds i up i times, odd ones twice as much
    EXPECT_EQ(
        b.run("mov.u32 %r10, 0;\nmov.u32 %r11, 0;\n"
              "$L1:\nsetp.ge.u32 %p1, %r11, %r1;\n@%p1 bra $L2;\nadd.s32 %r10, %r10, %r1;\nadd.s32 %r11, %r11, 1;\nbra.uni $L1;\n"
              "$L2:\nand.b32 %r12, %r1, 1;\nsetp.eq.s32 %p2, %r12, 0;\n@%p2 bra $L3;\nshl.b32 %r10, %r10, 1;\n"
              "$L3:\nbar.warp.sync -1;\nshfl.sync.bfly.b32 %r13|%p3, %r10, 1, 31, -1;\nst.global.u32 [%rd3], %r13;\n"),
        "");
    for (uint32_t i = 0; i < 64; i++) EXPECT_EQ(b.at<uint32_t>(i), (i ^ 1) * (i ^ 1) * ((i ^ 1) % 2 ? 2 : 1)) << i;
}

TEST(PtxMachine, BarriersOrderAndTheirLackIsSeen) {
    const std::string write = "st.shared.u32 [%r5], %r1;\n",
                      read = "xor.b32 %r6, %r3, 128;\nadd.s32 %r7, %r4, %r6;\nld.shared.u32 %r8, [%r7];\n"
                             "st.global.u32 [%rd3], %r8;\n";
    Bench with, without;
    EXPECT_EQ(with.run(write + "bar.sync 0;\n" + read), "");
    for (uint32_t i = 0; i < 64; i++) EXPECT_EQ(with.at<uint32_t>(i), i ^ 32);
    bool seen = false; // whichever warp is first: it reads what is not there yet, or the other's without an order
    for (unsigned schedule = 0; schedule < 4; schedule++) {
        without.machine.schedule = schedule;
        seen = seen || !without.run(write + read).empty();
    }
    EXPECT_TRUE(seen);
    Bench again;
    expect_fault(again.run(write + "bar.sync 0;\n" + read + "add.s32 %r9, %r1, 1;\nst.shared.u32 [%r5], %r9;\n"),
                 "nothing orders the two");
}

TEST(PtxMachine, LanesOfAWarpNeedABarrierToo) {
    const std::string write = "st.shared.u32 [%r5], %r1;\n",
                      read = "xor.b32 %r6, %r3, 4;\nadd.s32 %r7, %r4, %r6;\nld.shared.u32 %r8, [%r7];\n";
    Bench b;
    EXPECT_EQ(b.run(write + "bar.warp.sync -1;\n" + read, 1, 32), "");
    expect_fault(b.run(write + read, 1, 32), "reads what another thread writes, and nothing orders the two");
}

TEST(PtxMachine, BlocksMayNotMeet) {
    Bench b;
    expect_fault(b.run("st.global.u32 [%rd3], %r2;\n", 2), "nothing orders the two");
    expect_fault(b.run("setp.eq.s32 %p1, %r2, 0;\n@%p1 bra $L1;\nld.global.u32 %r6, [%rd3];\nbra.uni $L2;\n"
                       "$L1:\nadd.s32 %r7, %r1, 7;\nst.global.u32 [%rd3], %r7;\n$L2:\n",
                       2),
                 "nothing orders the two");
    EXPECT_EQ(b.run("st.global.u32 [%rd3], 7;\n", 2), "") << "the same number from all";
}

TEST(PtxMachine, LaunchesThatBeginEarlyWaitForThoseBefore) {
    const std::string wait = "griddepcontrol.wait;\n", read = "ld.global.u32 %r6, [%rd3];\n",
                      write = "st.global.u32 [%rd3], %r1;\n";
    Bench b;
    EXPECT_EQ(b.run(read + wait, 1, 64, true), "") << "what the host has written is there";
    expect_fault(b.run(write + wait, 1, 64, true), "writes without having waited");
    EXPECT_EQ(b.run(wait + "griddepcontrol.launch_dependents;\n" + write, 1, 64, true), "");
    expect_fault(b.run(read + wait, 1, 64, true), "reads what a kernel wrote without having waited");
    expect_fault(b.run("griddepcontrol.launch_dependents;\n" + wait, 1, 64, true),
                 "lets the next launch begin without having waited");
    expect_fault(b.run("", 1, 64, true), "ends without having waited");
    EXPECT_EQ(b.run(read + write), "") << "others begin when those before have ended";
}

TEST(PtxMachine, MemoryIsWatched) {
    Bench b, fresh(false);
    expect_fault(b.run("ld.global.u32 %r6, [%rd1+1024];\n"), "reads outside of any allocation");
    expect_fault(b.run("st.global.u32 [%rd1+-4], 0;\n"), "writes outside of any allocation");
    expect_fault(b.run("st.shared.u32 [%r4+4096], 0;\n"), "writes outside of its memory");
    EXPECT_EQ(b.run("prefetch.global.L2 [%rd1+1020];\n"), "");
    expect_fault(b.run("prefetch.global.L2 [%rd1+1024];\n"), "asks for memory outside of any allocation");
    expect_fault(b.run("ld.global.v4.f32 {%f1, %f2, %f3, %f4}, [%rd1+8];\n"), "reads 16 bytes from an address that is no multiple");
    expect_fault(b.run("st.global.u64 [%rd1+4], 0;\n"), "writes 8 bytes to an address that is no multiple");
    expect_fault(fresh.run("ld.global.u32 %r6, [%rd3];\n"), "reads what nothing has written");
    expect_fault(b.run("ld.shared.u32 %r6, [%r5];\n"), "reads what nothing has written");
    expect_fault(b.run("ld.global.u32 %r6, [%rd1+1024];\n"), "block 0, thread ");
}

TEST(PtxMachine, WhatAWarpDoesTogetherIsDoneTogether) {
    Bench b;
    const std::string half = "setp.lt.u32 %p1, %r1, 16;\n@%p1 bra $L1;\n";
    expect_fault(b.run(half + "bar.sync 0;\nret;\n$L1:\nadd.s32 %r9, %r1, 1;\nbar.sync 0;\n", 1, 32), "wait for each other");
    expect_fault(b.run(half + "ret;\n$L1:\nbar.warp.sync -1;\n", 1, 32), "lanes that have returned");
    expect_fault(b.run("shfl.sync.bfly.b32 %r6|%p1, %r1, 1, 15, -1;\n"), "a part of a warp");
}

TEST(PtxMachine, UnknownWordsAreNamed) {
    Bench b;
    expect_fault(b.run("frobnicate.f32 %f1, %f2;\n"), "unknown instruction frobnicate.f32");
    expect_fault(b.run("bra $Lnowhere;\n"), "unknown $Lnowhere");
    expect_fault(b.run("mov.u32 %r6, %smid;\nmov.u32 %r7, %clock.lo;\n"), "unknown register %clock.lo");
}

// d = a b + c by lanes, as the tables of the PTX manual have them; a by ldmatrix.
TEST(PtxMachine, MatricesAreMultiplied) {
    Bench b;
    // a[i][k] = i + 16 k in halves, b[k][j] = (k == j), c = 1000: d[i][j] = 1000 + i + 16 j
    const std::string body =
        "and.b32 %r10, %r1, 15;\nshl.b32 %r11, %r10, 5;\nshr.u32 %r12, %r1, 4;\nshl.b32 %r13, %r12, 4;\nadd.s32 %r14, %r11, %r13;\n"
        "add.s32 %r15, %r4, %r14;\nshl.b32 %r16, %r12, 3;\n" // row i, half of it: columns 8 r12 to 8 r12 + 7
        "$LF:\nmov.u32 %r17, 0;\n$L1:\nadd.s32 %r18, %r16, %r17;\nshl.b32 %r18, %r18, 4;\nadd.s32 %r18, %r18, %r10;\n"
        "cvt.rn.f32.u32 %f1, %r18;\nadd.s32 %r19, %r18, 16;\ncvt.rn.f32.u32 %f2, %r19;\ncvt.rn.f16x2.f32 %r20, %f2, %f1;\n"
        "shl.b32 %r21, %r17, 1;\nadd.s32 %r22, %r15, %r21;\nst.shared.u32 [%r22], %r20;\nadd.s32 %r17, %r17, 2;\n"
        "setp.lt.u32 %p1, %r17, 8;\n@%p1 bra $L1;\nbar.warp.sync -1;\n"
        "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r30, %r31, %r32, %r33}, [%r15];\n"
        // b: words of rows 2t, 2t + 1 of column g; 1 where 2t == g or 2t + 1 == g
        "and.b32 %r40, %r1, 3;\nshl.b32 %r40, %r40, 1;\nshr.u32 %r41, %r1, 2;\nsetp.eq.s32 %p2, %r40, %r41;\nselp.b32 %r42, 15360, 0, %p2;\n"
        "add.s32 %r43, %r40, 1;\nsetp.eq.s32 %p3, %r43, %r41;\nselp.b32 %r44, 1006632960, 0, %p3;\nor.b32 %r45, %r42, %r44;\nmov.u32 %r46, 0;\n"
        "mov.f32 %f10, 0f447A0000;\n"
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f20, %f21, %f22, %f23}, {%r30, %r31, %r32, %r33}, {%r45, %r46}, {%f10, %f10, %f10, %f10};\n"
        // d[g][2t], d[g][2t + 1], d[g + 8][...] to memory as [16][8]
        "shl.b32 %r50, %r41, 3;\nadd.s32 %r50, %r50, %r40;\nmul.wide.u32 %rd10, %r50, 4;\nadd.s64 %rd11, %rd1, %rd10;\n"
        "st.global.v2.f32 [%rd11], {%f20, %f21};\nst.global.v2.f32 [%rd11+256], {%f22, %f23};\n";
    // and a's first half times b's alone, which is all that there is of b
    std::string half = body;
    const auto replace = [&](const std::string &from, const std::string &to) { half.replace(half.find(from), from.size(), to); };
    replace("m16n8k16", "m16n8k8");
    replace("{%r30, %r31, %r32, %r33}, {%r45, %r46}, {%f10", "{%r30, %r31}, {%r45}, {%f10");
    for (const std::string &text : {body, half}) {
        ASSERT_EQ(b.run(text, 1, 32), "");
        for (uint32_t i = 0; i < 16; i++)
            for (uint32_t j = 0; j < 8; j++) EXPECT_EQ(b.at<float>(i * 8 + j), float(1000 + i + 16 * j)) << i << " " << j;
    }
}

float result_of(const std::string &instructions) { // of %f3
    Bench b;
    EXPECT_EQ(b.run(instructions + "setp.eq.s32 %p9, %r1, 0;\n@%p9 st.global.f32 [%rd3], %f3;\n"), "");
    return b.at<float>(0);
}

TEST(PtxMachine, ArithmeticIsAsWritten) {
    EXPECT_EQ(result_of("mov.f32 %f1, 0f00000001;\nadd.ftz.f32 %f3, %f1, %f1;\n"), 0.0f); // subnormals are flushed
    EXPECT_EQ(result_of("mov.f32 %f1, 0f3F800001;\nfma.rn.ftz.f32 %f3, %f1, %f1, 0fBF800002;\n"), 0x1p-46f); // rounded once
    EXPECT_EQ(
        result_of(
            "mov.u32 %r10, -1;\nshr.u32 %r11, %r10, 31;\nshr.s32 %r12, %r10, 31;\nadd.s32 %r13, %r11, %r12;\ncvt.rn.f32.s32 %f3, %r13;\n"),
        0.0f);
    EXPECT_EQ(result_of("mov.u32 %r10, 5;\nmov.u32 %r11, 255;\nbfi.b32 %r12, %r10, %r11, 4, 8;\ncvt.rn.f32.u32 %f3, %r12;\n"),
              float(0x05f));
    EXPECT_EQ(
        result_of("mov.f32 %f1, 0f7FC00000;\nsetp.leu.ftz.f32 %p1, %f1, 0f00000000;\nselp.f32 %f3, 0f3F800000, 0f00000000, %p1;\n"),
        1.0f);
    EXPECT_EQ(result_of("mov.f32 %f1, 0f477FF000;\ncvt.rn.f16.f32 %rs1, %f1;\ncvt.f32.f16 %f3, %rs1;\n"), INFINITY); // 65520
    EXPECT_EQ(result_of("mov.f32 %f1, 0f33800001;\ncvt.rn.f16.f32 %rs1, %f1;\ncvt.f32.f16 %f3, %rs1;\n"), 0x1p-24f);
    EXPECT_EQ(result_of("mov.f32 %f1, 0f3F808001;\ncvt.rn.bf16.f32 %rs1, %f1;\nmov.b32 %r10, {0, %rs1};\nmov.b32 %f3, %r10;\n"),
              0x1.02p0f);
    EXPECT_EQ(result_of("cvt.rzi.u32.f64 %r10, 0d4006000000000000;\ncvt.rn.f32.u32 %f3, %r10;\n"), 2.0f);    // 2.75
    EXPECT_EQ(result_of("cvt.rzi.u32.f64 %r10, 0d4202000000000000;\ncvt.rn.f32.u32 %f3, %r10;\n"), 0x1p32f); // the largest
    EXPECT_EQ(result_of("not.b64 %rd9, 5;\nmax.u64 %rd9, %rd9, 7;\ncvt.u32.u64 %r10, %rd9;\ncvt.rn.f32.s32 %f3, %r10;\n"), -6.0f);
    // approximate ones are wrong, but no more than they may be
    const float power = result_of("mov.f32 %f1, 0f3EAAAAAB;\nex2.approx.ftz.f32 %f3, %f1;\n");
    EXPECT_NE(power, std::exp2(0x1.555556p-2f));
    EXPECT_NEAR(power, std::exp2(0x1.555556p-2), 0x1p-21);
}

} // namespace
