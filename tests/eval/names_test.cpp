/* Names that are cut to a column: nothing that fits is touched, no character of UTF-8 is split, and what tells optimizers apart stays. */
#include <gtest/gtest.h>

#include <string>

extern "C" {
#include "csrc/eval/names.h"
}

namespace {

std::string begin_of(const char *name, size_t width) {
    char out[NAME_ROOM];
    return name_begin(name, width, out);
}
std::string label_of(const char *label, size_t width) {
    char out[NAME_ROOM];
    return name_of_label(label, width, out);
}

TEST(Names, WhatFitsStays) {
    EXPECT_EQ(begin_of("rosenbrock", 10), "rosenbrock");
    EXPECT_EQ(label_of("a/weights.safetensors", 21), "a/weights.safetensors");
    EXPECT_EQ(begin_of("", 5), "");
    EXPECT_EQ(begin_of("\xc3\xa9\xc3\xa8", 2), "\xc3\xa9\xc3\xa8");
}

TEST(Names, OfATaskTheBeginningIsShown) {
    EXPECT_EQ(begin_of("mlp:inputs=10,hidden=12,batch=32", 24), "mlp:inputs=10,hidden=12\xe2\x80\xa6");
    EXPECT_EQ(begin_of("\xc3\xa9\xc3\xa8\xc3\xaa", 2), "\xc3\xa9\xe2\x80\xa6");
    EXPECT_EQ(begin_of("abc", 1), "\xe2\x80\xa6");
}

TEST(Names, OfAPathTheEndIsShownThatTellsFilesApart) {
    EXPECT_EQ(label_of("runs/seed-1/weights.safetensors", 15), "runs/seed-1");
    EXPECT_EQ(label_of("weights/hrnn-10-30-20.safetensors", 15), "\xe2\x80\xa6/hrnn-10-30-20");
    EXPECT_EQ(label_of("weights/hrnn-10-30-20.safetensors", 17), "\xe2\x80\xa6/hrnn-10-30-20") << "no part of a folder's name";
    EXPECT_EQ(label_of("/home/someone/runs/seed-1/weights.safetensors", 8), "\xe2\x80\xa6/seed-1");
    EXPECT_EQ(label_of("d/\xc3\xa9\xc3\xa8\xc3\xaa\xc3\xab/weights.safetensors", 4), "\xe2\x80\xa6\xc3\xa8\xc3\xaa\xc3\xab");
    EXPECT_EQ(label_of("a label without a path", 10), "a label w\xe2\x80\xa6");
    EXPECT_EQ(label_of("/weights.safetensors", 10), "/weights") << "nothing stands before it";
}

TEST(Names, TheLongestFitsIntoItsRoom) {
    std::string wide;
    for (int i = 0; i < 100; i++) wide += "\xf0\x9f\x98\x80"; // four bytes each
    const std::string cut = begin_of(wide.c_str(), 63);
    EXPECT_EQ(cut, wide.substr(0, 62 * 4) + "\xe2\x80\xa6");
    EXPECT_EQ(label_of(("/" + wide).c_str(), 63), "\xe2\x80\xa6" + wide.substr(0, 62 * 4));
}

TEST(Names, ColumnsAreAsWideInCharacters) {
    text_buffer b = TEXT_BUFFER_INIT;
    char *text = nullptr;
    name_add(&b, "na\xc3\xafve", 7);
    text_add(&b, "|");
    name_add(&b, "longer than it", 3);
    ASSERT_EQ(text_take(&b, &text), LOPT_OK);
    EXPECT_STREQ(text, "na\xc3\xafve  |longer than it");
    free(text);
}

} // namespace
