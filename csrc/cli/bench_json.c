#include <errno.h>
#include <string.h>

#include "bench.h"
#include "cli.h"
#include "lopt/meta.h"

int bench_write_json(const char *path, json_t *rows) {
    if (path == NULL) {
        json_decref(rows);
        return CLI_DONE;
    }
    json_t *all = json_pack("{s:s, s:s, s:o}", "lopt", lopt_version(), "isa", lopt_isa(), "rows", rows);
    errno = 0;
    int failed = all == NULL || json_dump_file(all, path, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0;
    json_decref(all);
    return failed ? cli_error(CLI_FAILED, "%s could not be written: %s", path, strerror(errno)) : CLI_DONE;
}
