# The lopt command, on the public headers alone.
file(GLOB LOPT_CLI_SOURCES CONFIGURE_DEPENDS csrc/cli/*.c)
if(LOPT_CLI_SOURCES)
  add_executable(lopt ${LOPT_CLI_SOURCES})
  target_compile_options(lopt PRIVATE -Wall -Wextra -Werror -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes)
  target_compile_definitions(lopt PRIVATE _GNU_SOURCE)
  target_link_libraries(lopt PRIVATE lopt_static PkgConfig::JANSSON m)
endif()
