/* What the evaluation's tests share: a folder of their own, files as text, and a strict little reader of XML. */
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

/* A folder that goes when the test ends. */
class Folder {
public:
    Folder() {
        char pattern[] = "/tmp/lopt-eval-XXXXXX";
        path_ = mkdtemp(pattern);
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    std::string operator/(const std::string &name) const { return path_ + "/" + name; }
    const std::string &path() const { return path_; }

private:
    std::string path_;
};

inline std::string read_text(const std::string &path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

inline void write_text(const std::string &path, const std::string &text) { std::ofstream(path, std::ios::binary) << text; }

/* One tag: its name and whether its attributes are all name="value". */
inline bool attributes_are_well_formed(const std::string &body) {
    size_t at = body.find_first_of(" \n\t");
    while (at != std::string::npos) {
        at = body.find_first_not_of(" \n\t", at);
        if (at == std::string::npos) return true;
        size_t equals = body.find('=', at);
        if (equals == std::string::npos || equals + 1 >= body.size() || body[equals + 1] != '"') return false;
        size_t close = body.find('"', equals + 2);
        if (close == std::string::npos) return false;
        at = close + 1;
        if (at < body.size() && !isspace((unsigned char)body[at])) return false;
        if (at >= body.size()) return true;
    }
    return true;
}

/* "" if every tag is closed in order, attributes are quoted and every & begins an entity; else what is wrong. */
inline std::string xml_problem(const std::string &text) {
    std::vector<std::string> open;
    for (size_t at = 0; at < text.size(); at++) {
        if (text[at] == '&' && text.substr(at, 12).find(';') == std::string::npos) return "bare & at " + std::to_string(at);
        if (text[at] != '<') continue;
        size_t end = text.find('>', at);
        if (end == std::string::npos) return "tag without end at " + std::to_string(at);
        std::string body = text.substr(at + 1, end - at - 1);
        at = end;
        if (body[0] == '!') continue;
        bool closing = body[0] == '/', single = body.back() == '/';
        if (closing) body.erase(0, 1);
        if (single) body.pop_back();
        if (!attributes_are_well_formed(body)) return "attributes of <" + body + ">";
        std::string name = body.substr(0, body.find_first_of(" \n\t"));
        if (closing && (open.empty() || open.back() != name)) return "</" + name + "> closes nothing";
        if (closing) open.pop_back();
        if (!closing && !single) open.push_back(name);
    }
    return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

/* Whether a place on the page is nan or inf: looked for in all path data and coordinates. */
inline bool has_bad_number(const std::string &svg) {
    for (const char *attribute : {" d=\"", " x=\"", " y=\"", " x1=\"", " y1=\"", " x2=\"", " y2=\"", "width=\"", "height=\""})
        for (size_t at = svg.find(attribute); at != std::string::npos; at = svg.find(attribute, at + 1)) {
            size_t start = svg.find('"', at) + 1;
            std::string value = svg.substr(start, svg.find('"', start) - start);
            if (value.find("nan") != std::string::npos || value.find("inf") != std::string::npos) return true;
        }
    return false;
}
