#!/bin/sh
# Installs a build into a directory of its own, moves that, and uses it as a stranger would: by find_package and by pkg-config, shared and
# static, from C and from C++. Then compares the symbols that liblopt.so exports with those that the headers declare.
# Usage: [CC=...] [CXX=...] tests/install/run.sh BUILD-DIR
set -eu
source=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
cc=${CC:-cc}
cxx=${CXX:-c++}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "$*" >&2
    exit 1
}
quietly() { # the output is shown where the command fails
    "$@" >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2; fail "failed: $*"; }
}

quietly cmake --install "$build" --prefix "$scratch/first"
mv "$scratch/first" "$scratch/prefix" # nothing in it may know where it was installed
prefix=$scratch/prefix
version=$(sed -n 's/^project(lopt VERSION \([0-9.]*\) .*/\1/p' "$source/CMakeLists.txt")

for language in C CXX; do
    echo "find_package from $language"
    quietly cmake -S "$source/tests/install" -B "$scratch/$language" -DLANGUAGE=$language -DCMAKE_PREFIX_PATH="$prefix"
    quietly cmake --build "$scratch/$language"
    for program in use_shared use_static; do "$scratch/$language/$program"; done
done

echo "pkg-config"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name lopt.pc)")
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion lopt)" = "$version" ] || fail "lopt.pc gives version $(pkg-config --modversion lopt), the project is $version"
archive=$(find "$prefix" -name liblopt.a)
libdir=$(dirname "$archive")
flags="$(pkg-config --cflags lopt) -DWEIGHTS=\"$(pkg-config --variable=datadir lopt)/weights/hrnn-10-30-20.safetensors\""
shared=$(pkg-config --libs lopt)
static=$(pkg-config --static --libs lopt | sed "s|-llopt|$archive|")
for compiler in "$cc" "$cxx -x c++"; do
    $compiler -c $flags "$source/tests/install/use.c" -o "$scratch/use.o"
    ${compiler% -x c++} "$scratch/use.o" $shared -Wl,-rpath,"$libdir" -o "$scratch/pc_shared"
    ${compiler% -x c++} "$scratch/use.o" $static -o "$scratch/pc_static"
    for program in pc_shared pc_static; do "$scratch/$program"; done
done

echo "opened and closed again"
$cc -Wall -Wextra -Werror $(pkg-config --cflags lopt) "$source/tests/install/reload.c" -ldl -o "$scratch/reload"
OMP_NUM_THREADS=2 "$scratch/reload" "$libdir/liblopt.so" || fail "a program that closes the library ends with status $?"

echo "shared, without what the static library needs"
cat >"$scratch/CMakeLists.txt" <<'EOF'
cmake_minimum_required(VERSION 3.22)
project(optional C)
find_package(lopt QUIET)
add_executable(optional optional.c)
target_link_libraries(optional PRIVATE lopt::lopt)
EOF
echo '#include <lopt/lopt.h>
int main(void) { return lopt_version()[0] == 0; }' >"$scratch/optional.c"
quietly env PKG_CONFIG_PATH='' PKG_CONFIG_LIBDIR=/nonexistent cmake -S "$scratch" -B "$scratch/optional" -DCMAKE_PREFIX_PATH="$prefix"
quietly cmake --build "$scratch/optional"
"$scratch/optional/optional"

echo "directories that are absolute ones"
lib=$scratch/absolute/lib
quietly cmake -S "$source" -B "$scratch/build" -DLOPT_TESTS=OFF -DLOPT_CUDA=OFF -DCMAKE_INSTALL_PREFIX="$scratch/absolute" \
    -DCMAKE_INSTALL_LIBDIR="$lib" -DCMAKE_INSTALL_INCLUDEDIR="$scratch/headers"
[ "$(PKG_CONFIG_PATH=$scratch/build pkg-config --variable=includedir lopt)" = "$scratch/headers" ] || fail "lopt.pc has another INCLUDEDIR"
[ "$(PKG_CONFIG_PATH=$scratch/build pkg-config --variable=datadir lopt)" = "$scratch/absolute/share/lopt" ] || fail "lopt.pc has another DATADIR"
for wrong in -DLOPT_CUDA=perhaps -DLOPT_ISAS=avx512; do
    ! cmake -S "$source" -B "$scratch/build" "$wrong" >"$scratch/log" 2>&1 || fail "cmake takes $wrong"
    grep -q "it must be" "$scratch/log" || fail "cmake does not say what is wrong with $wrong: $(cat "$scratch/log")"
done

echo "headers alone, as C99 and C++11"
for header in "$prefix"/include/lopt/*.h; do
    echo "#include <lopt/$(basename "$header")>" >"$scratch/only.c"
    $cc -std=c99 -pedantic-errors -Wall -Werror -fsyntax-only -I"$prefix/include" "$scratch/only.c"
    $cxx -x c++ -std=c++11 -Wall -Werror -fsyntax-only -I"$prefix/include" "$scratch/only.c"
done

echo "exported symbols"
nm -D --defined-only "$libdir/liblopt.so" | awk '{print $3}' | sort >"$scratch/exported"
cat "$prefix"/include/lopt/*.h | grep -v '^#define' | tr '\n' ' ' | grep -o 'LOPT_API [^;]*(' |
    sed 's/.*[ *]\(lopt_[a-z0-9_]*\)(.*/\1/' | sort -u >"$scratch/declared"
[ -s "$scratch/declared" ] || fail "no declarations found in the headers"
diff "$scratch/declared" "$scratch/exported" || fail "liblopt.so exports (>) other symbols than the headers declare (<)"

nm -g --defined-only "$archive" 2>/dev/null | awk 'NF == 3 {print $3}' | grep -v '^\.gomp_critical_user_lopt_\|^_Z.*nvtx' | sort -u >"$scratch/exported"
diff "$scratch/declared" "$scratch/exported" || fail "liblopt.a exports (>) other symbols than the headers declare (<)"

echo "the command, and the data beside it"
"$prefix/bin/lopt" train --config "$(pkg-config --variable=datadir lopt)/configs/stage-1.json" --set iterations=1 --out "$scratch/run" 2>"$scratch/log" ||
    fail "an installed configuration is refused: $(cat "$scratch/log")"
[ "$("$prefix/bin/lopt" --version)" = "lopt $version" ] || fail "lopt --version says $("$prefix/bin/lopt" --version), the project is $version"
