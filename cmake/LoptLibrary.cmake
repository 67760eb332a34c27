# liblopt, shared and static, from the floors base, kernels, tasks and csrc (README, "Architecture").
file(GLOB LOPT_PLAIN_SOURCES CONFIGURE_DEPENDS base/*.c kernels/*.c kernels/cpu/*.c tasks/*.c tasks/data/*.c tasks/engine/*.c
     csrc/io/*.c csrc/weights/*.c csrc/optimizer/*.c csrc/train/*.c csrc/eval/*.c csrc/bench/*.c)
# Compiled once per instruction set: the kernels and the task families.
file(GLOB LOPT_ISA_SOURCES CONFIGURE_DEPENDS kernels/cpu/isa_*.c tasks/families/*.c)
list(FILTER LOPT_PLAIN_SOURCES EXCLUDE REGEX "/isa_[a-z_]*\\.c$")

lopt_isa_objects(isa_objects ${LOPT_ISA_SOURCES})
add_library(lopt_objects OBJECT ${LOPT_PLAIN_SOURCES} ${LOPT_DATA_SOURCES})
target_link_libraries(lopt_objects PRIVATE lopt_flags PkgConfig::JANSSON PkgConfig::XXHASH PkgConfig::ZLIB)
if("avx512" IN_LIST LOPT_ISAS)
  target_compile_definitions(lopt_objects PRIVATE LOPT_X86_ISAS)
endif()
if(OpenMP_C_FOUND)
  target_link_libraries(lopt_objects PRIVATE OpenMP::OpenMP_C)
endif()

foreach(kind SHARED STATIC)
  string(TOLOWER lopt_${kind} target)
  add_library(${target} ${kind} $<TARGET_OBJECTS:lopt_objects> ${isa_objects})
  set_target_properties(${target} PROPERTIES OUTPUT_NAME lopt LINKER_LANGUAGE C)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
                                              $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PRIVATE PkgConfig::JANSSON PkgConfig::XXHASH PkgConfig::ZLIB m)
  if(OpenMP_C_FOUND)
    target_link_libraries(${target} PRIVATE OpenMP::OpenMP_C)
  endif()
endforeach()
set_target_properties(lopt_shared PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  target_link_options(lopt_shared PRIVATE -Wl,--version-script=${PROJECT_SOURCE_DIR}/cmake/lopt.map)
  set_target_properties(lopt_shared PROPERTIES LINK_DEPENDS ${PROJECT_SOURCE_DIR}/cmake/lopt.map)
endif()
