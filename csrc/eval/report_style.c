#include "csrc/eval/figure_svg.h"
#include "csrc/eval/report.h"

static const char colours[] =
    ":root{color-scheme:light dark;--ground:#f6f8fa;--paper:#fff;--ink:#1f2328;--soft:#57606a;--line:#d8dee4;--good:#1a7f37;"
    "--bad:#b42318}\n"
    "@media(prefers-color-scheme:dark){:root{--ground:#0d1117;--paper:#151b23;--ink:#e6edf3;--soft:#9da7b3;--line:#2a313a;"
    "--good:#3fb950;--bad:#ff7b72}}\n";

static const char page[] = "*{box-sizing:border-box}\n"
                           "body{margin:0;background:var(--ground);color:var(--ink);"
                           "font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif}\n"
                           "main{max-width:1240px;margin:0 auto;padding:40px 24px 64px}\n"
                           "h1{font-size:30px;line-height:1.2;margin:0 0 8px;letter-spacing:-.01em}\n"
                           "h2{font-size:19px;margin:44px 0 12px}\n"
                           "p{max-width:76ch;margin:0 0 10px;color:var(--soft);overflow-wrap:anywhere}\n"
                           "b{color:var(--ink)}\n"
                           "ul{max-width:90ch;color:var(--soft);padding-left:20px}\n"
                           "li{margin:4px 0}\n"
                           "footer{margin-top:40px;color:var(--soft);font-size:13px}\n"
                           ".good{color:var(--good)}\n"
                           ".bad{color:var(--bad)}\n";

static const char cards[] =
    ".cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr));gap:16px;margin-top:24px}\n"
    ".card,.sheet,figure{background:var(--paper);border:1px solid var(--line);border-radius:10px}\n"
    ".card{padding:18px 20px;border-top:4px solid var(--tint)}\n"
    ".card h3{margin:0 0 10px;font-size:17px;color:var(--tint);overflow-wrap:anywhere}\n"
    ".big{display:flex;align-items:baseline;gap:10px;flex-wrap:wrap}\n"
    ".big strong{font-size:34px;line-height:1.1}\n"
    ".note,.kind{color:var(--soft);font-size:13px}\n"
    ".kind{margin-top:14px}\n"
    ".wins{margin:4px 0 12px;display:grid;grid-template-columns:auto minmax(70px,1fr) 44px;gap:7px 10px;align-items:center;font-size:13.5px}\n"
    ".wins span:nth-child(3n){text-align:right;font-variant-numeric:tabular-nums}\n"
    ".bar{height:8px;border-radius:4px;background:var(--line);overflow:hidden}\n"
    ".bar i{display:block;height:100%;background:var(--tint)}\n"
    ".facts{font-size:13.5px;color:var(--soft);border-top:1px solid var(--line);padding-top:10px}\n"
    ".facts b.bad{color:var(--bad)}\n";

static const char tables[] =
    ".sheet{overflow-x:auto}\n"
    "table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:8px 12px;text-align:right;white-space:nowrap;vertical-align:top}\n"
    "th:first-child,td:first-child{text-align:left}\n"
    "thead th{font-weight:600;color:var(--soft);font-size:13px;border-bottom:1px solid var(--line);vertical-align:bottom}\n"
    "tbody tr+tr td{border-top:1px solid var(--line)}\n"
    "td small{display:block;color:var(--soft);font-size:12px}\n"
    "td small.good{color:var(--good);font-weight:600}\n"
    "td small.bad{color:var(--bad)}\n"
    "td.lowest{font-weight:700}\n"
    "td.lowest small{font-weight:400}\n"
    ".spec{font-weight:600;display:block;white-space:normal;overflow-wrap:anywhere;min-width:14ch;max-width:34ch}\n"
    "details+details{margin-top:8px}\n"
    "summary{cursor:pointer;font-weight:600;padding:12px 16px;overflow-wrap:anywhere}\n";

static const char figures[] =
    ".figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,540px),1fr));gap:16px}\n"
    "figure{margin:0;padding:14px 16px 8px;min-width:0}\n"
    "figcaption{font-weight:600;margin-bottom:6px;overflow-wrap:anywhere}\n"
    "figcaption small{color:var(--soft);font-weight:400;margin-left:8px}\n"
    "figure svg{display:block;width:100%;height:auto}\n";

void report_add_style(text_buffer *b) {
    text_add(b, "%s%s%s%s%s", colours, page, cards, tables, figures);
    figure_add_style(b);
}
