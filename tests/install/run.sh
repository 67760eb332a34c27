#!/bin/sh
# Installs a build into a directory of its own, moves that, and uses it as a stranger would: by find_package, by pkg-config, shared and
# static, from C and C++. Then compares the symbols that liblopt.so exports with those that the headers declare.
# Usage: tests/install/run.sh BUILD-DIR
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

cmake --install "$build" --prefix "$scratch/first" >/dev/null
mv "$scratch/first" "$scratch/prefix"
prefix=$scratch/prefix

echo "find_package"
cmake -S "$source/tests/install" -B "$scratch/use" -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build "$scratch/use" >/dev/null
for program in use_shared use_static use_cxx; do "$scratch/use/$program"; done

echo "pkg-config"
pc=$(find "$prefix" -name lopt.pc)
PKG_CONFIG_PATH=$(dirname "$pc")
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion lopt)" = "$(sed -n 's/^project(lopt VERSION \([0-9.]*\) .*/\1/p' "$source/CMakeLists.txt")" ]
libdir=$(pkg-config --variable=libdir lopt)
cc "$source/tests/install/use.c" $(pkg-config --cflags --libs lopt) -Wl,-rpath,"$libdir" -o "$scratch/pc_shared"
"$scratch/pc_shared"
archive=$(find "$prefix" -name liblopt.a)
cc "$source/tests/install/use.c" $(pkg-config --cflags lopt) "$archive" $(pkg-config --static --libs lopt | sed 's/-llopt//') -o "$scratch/pc_static"
"$scratch/pc_static"

echo "headers alone, as C99 and C++"
echo '#include <lopt/meta.h>' >"$scratch/only.c"
cc -std=c99 -pedantic-errors -Wall -Werror -fsyntax-only -I"$prefix/include" "$scratch/only.c"
c++ -x c++ -std=c++11 -Wall -Werror -fsyntax-only -I"$prefix/include" "$scratch/only.c"

echo "exported symbols"
nm -D --defined-only "$(find "$prefix" -name 'liblopt.so' | head -n 1)" | awk '{print $3}' | sort >"$scratch/exported"
cat "$prefix"/include/lopt/*.h | grep -v '^#define' | tr '\n' ' ' | grep -o 'LOPT_API [^;]*(' | sed 's/.*[ *]\(lopt_[a-z0-9_]*\)(.*/\1/' | sort -u >"$scratch/declared"
[ -s "$scratch/declared" ]
diff "$scratch/declared" "$scratch/exported" || { echo "liblopt.so exports (>) other symbols than the headers declare (<)"; exit 1; }

echo "the command"
[ "$("$prefix/bin/lopt" --version)" = "lopt $(pkg-config --modversion lopt)" ]
