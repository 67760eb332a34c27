/* Pictures and texts: axes that people can read, and nothing that breaks the page. */
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "eval_support.h"

extern "C" {
#include "csrc/eval/figure_scale.h"
#include "csrc/eval/figure_svg.h"
}

namespace {

TEST(TextBuffer, EscapesWhatHtmlWouldRead) {
    text_buffer b = TEXT_BUFFER_INIT;
    char *text = nullptr;
    text_add_escaped(&b, "<a href=\"x\" y='z'>&\x01\t</a>");
    ASSERT_EQ(text_take(&b, &text), LOPT_OK);
    EXPECT_STREQ(text, "&lt;a href=&quot;x&quot; y=&#39;z&#39;&gt;&amp;  &lt;/a&gt;");
    free(text);
}

TEST(TextBuffer, HoldsLongTextsAndEmptyOnes) {
    text_buffer b = TEXT_BUFFER_INIT;
    char *text = nullptr;
    ASSERT_EQ(text_take(&b, &text), LOPT_OK);
    EXPECT_STREQ(text, "");
    free(text);
    std::string expected;
    for (int i = 0; i < 5000; i++) text_add(&b, "%d,", i), expected += std::to_string(i) + ",";
    ASSERT_EQ(text_take(&b, &text), LOPT_OK);
    EXPECT_EQ(text, expected);
    free(text);
}

TEST(Scale, PutsLossesInOrderAndOddOnesJustOutside) {
    loss_scale s = loss_scale_make(1e-4, 10, 200, 0);
    EXPECT_LT(s.low, 1e-4);
    EXPECT_GT(s.high, 10);
    double last = 201;
    for (double v : {1e-4, 1e-2, 1.0, 10.0}) {
        double y = loss_scale_place(&s, v);
        EXPECT_GT(y, 0);
        EXPECT_LT(y, last);
        last = y;
    }
    EXPECT_NEAR(loss_scale_place(&s, 1e-2) - loss_scale_place(&s, 1e-1), loss_scale_place(&s, 1e-1) - loss_scale_place(&s, 1),
                1e-9);
    EXPECT_NEAR(loss_scale_place(&s, 0.0), 220, 1e-9);
    EXPECT_NEAR(loss_scale_place(&s, 1e-300), 220, 1e-9);
    EXPECT_NEAR(loss_scale_place(&s, 1e300), -20, 1e-9);
    EXPECT_NEAR(loss_scale_place(&s, NAN), -20, 1e-9);
    EXPECT_NEAR(loss_scale_place(&s, INFINITY), -20, 1e-9);
}

TEST(Scale, CanAlwaysBeDrawn) {
    const double odd[] = {0.0, -1.0, 1e-300, 1e-12, 1.0, 1e30, 1e300, NAN, INFINITY, -INFINITY};
    for (double low : odd)
        for (double high : odd) {
            loss_scale s = loss_scale_make(low, high, 100, 0);
            EXPECT_GT(s.low, 0) << low << " " << high;
            EXPECT_GT(s.high, s.low) << low << " " << high;
            EXPECT_TRUE(std::isfinite(s.high)) << low << " " << high;
            figure_ticks t = loss_scale_ticks(&s, 6);
            EXPECT_LE(t.count, (size_t)FIGURE_TICKS_MAX);
            for (size_t i = 0; i < t.count; i++) EXPECT_TRUE(std::isfinite(t.value[i]));
        }
}

TEST(Scale, HasAFewTicksOnEveryRange) {
    const double ranges[][2] = {{0.6, 0.7}, {0.1, 2.3}, {1, 9}, {0.01, 50}, {1e-4, 1e2}, {1e-10, 1e4}, {70, 4000}, {12.3, 12.4}};
    for (const auto &range : ranges) {
        loss_scale s = loss_scale_make(range[0], range[1], 100, 0);
        figure_ticks t = loss_scale_ticks(&s, 6);
        EXPECT_GE(t.count, 2u) << range[0] << " " << range[1];
        EXPECT_LE(t.count, 12u) << range[0] << " " << range[1];
        for (size_t i = 0; i < t.count; i++) {
            EXPECT_GE(t.value[i], s.low * 0.999);
            EXPECT_LE(t.value[i], s.high * 1.001);
            EXPECT_GT(t.value[i], i > 0 ? t.value[i - 1] : 0.0);
        }
    }
    figure_ticks steps = step_ticks(1000, 6);
    EXPECT_EQ(steps.value[0], 0);
    EXPECT_EQ(steps.value[steps.count - 1], 1000);
    EXPECT_LE(step_ticks(3, 6).count, 4u); /* whole steps only */
}

/* A panel with one curve over 11 points. */
std::string panel(std::vector<double> median, std::vector<double> high, const char *label) {
    figure_series s = {};
    snprintf(s.label, sizeof s.label, "%s", label);
    snprintf(s.look, sizeof s.look, "learned0");
    s.median = median.data();
    s.low = median.data();
    s.high = high.data();
    const figure_frame frame = {50, 10, 300, 200, 1, 3, 6};
    text_buffer b = TEXT_BUFFER_INIT;
    char *text = nullptr;
    text_add(&b, "<svg>");
    figure_panel(&b, &frame, eval_grid_make(median.size() - 1), &s, 1, NAN);
    text_add(&b, "</svg>");
    EXPECT_EQ(text_take(&b, &text), LOPT_OK);
    std::string out = text;
    free(text);
    return out;
}

TEST(Panel, IsWellFormedWhateverTheLossesAre) {
    const double inf = INFINITY, huge = std::numeric_limits<double>::max();
    const std::vector<std::vector<double>> curves = {{1, 0.5, 0.2, 0.1}, {0, 0, 0, 0},       {NAN, NAN, NAN, NAN},
                                                     {1, 0.1, NAN, NAN}, {1, NAN, 0.5, 0.1}, {huge, 1, 0, 1e-300},
                                                     {inf, 1, inf, 1},   {5, 5, 5, 5}};
    for (const auto &curve : curves) {
        std::string svg = panel(curve, curve, "<name> & \"more\"");
        EXPECT_EQ(xml_problem(svg), "") << svg;
        EXPECT_FALSE(has_bad_number(svg)) << svg;
        EXPECT_NE(svg.find("&lt;name&gt; &amp; &quot;more&quot;"), std::string::npos);
    }
}

TEST(Panel, MarksACurveThatDivergedAndOnlyThat) {
    std::vector<double> good = {8, 4, 2, 1}, bad = {8, 4, NAN, NAN};
    EXPECT_EQ(panel(good, good, "a").find("class=\"x "), std::string::npos);
    std::string svg = panel(bad, bad, "a");
    EXPECT_NE(svg.find("class=\"x learned0\""), std::string::npos);
    EXPECT_NE(svg.find("a \xc3\x97</text>"), std::string::npos);
}

TEST(Panel, DrawsTheBandToTheTopWhereASeedDiverged) {
    std::vector<double> median = {8, 4, 2, 1}, high = {8, 8, NAN, NAN};
    std::string svg = panel(median, high, "a");
    size_t band = svg.find("class=\"b learned0\"");
    ASSERT_NE(band, std::string::npos);
    EXPECT_NE(svg.find("350.0 -10.0", band), std::string::npos) << "a tenth of the axis above its top";
}

TEST(XmlReader, NoticesDamage) {
    EXPECT_EQ(xml_problem("<a x=\"1\"><b/>&amp;</a>"), "");
    for (const char *bad : {"<a>", "<a></b>", "<a x=1></a>", "<a x=\"1></a>", "a & b", "</a>", "<a><b></a></b>"})
        EXPECT_NE(xml_problem(bad), "") << bad;
}

} // namespace
