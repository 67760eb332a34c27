# The GPU kernels: lopt_cuda_objects, and what links with it. Flags: subnormal numbers are flushed as on the CPU, and 1/x and 1/sqrt(x) are
# one instruction each (kernels/cell/vf.h); what is rounded where is decided in the PTX, not by nvcc's assembler kernel by kernel (vf_fnma there).
set(LOPT_CUDA_OBJECTS "")
set(LOPT_CUDA_LIBRARIES "")
if(LOPT_HAVE_CUDA)
  set(CMAKE_CUDA_STANDARD 17)
  set(LOPT_CUDA_FLAGS -O3 -ftz=true -prec-div=false -prec-sqrt=false -Xptxas=--fmad=false)
  file(GLOB LOPT_CUDA_SOURCES CONFIGURE_DEPENDS kernels/cuda/*.cu)
  set(LOPT_CUDA_PTX) # the architectures whose PTX is there, for later GPUs: 900 for 9.0; 0: none
  foreach(architecture ${LOPT_CUDA_ARCHITECTURES})
    if(architecture MATCHES "^([0-9]+)(-virtual)?$" AND CMAKE_MATCH_1 GREATER_EQUAL 80)
      math(EXPR number "${CMAKE_MATCH_1} * 10")
      list(APPEND LOPT_CUDA_PTX ${number})
    endif()
  endforeach()
  string(REPLACE ";" "," LOPT_CUDA_PTX "${LOPT_CUDA_PTX}")
  if(NOT LOPT_CUDA_PTX)
    set(LOPT_CUDA_PTX 0)
  endif()
  add_library(lopt_cuda_objects OBJECT ${LOPT_CUDA_SOURCES})
  target_include_directories(lopt_cuda_objects PRIVATE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/include ${CUDAToolkit_INCLUDE_DIRS})
  target_compile_definitions(lopt_cuda_objects PRIVATE LOPT_HAVE_CUDA LOPT_CUDA_PTX=${LOPT_CUDA_PTX} _GNU_SOURCE)
  target_compile_options(lopt_cuda_objects PRIVATE ${LOPT_CUDA_FLAGS} -Werror=all-warnings
                                                   -Xcompiler=-Wall,-Wextra,-Werror,-Wno-unknown-pragmas,-fvisibility=hidden,-fno-exceptions)
  set(LOPT_CUDA_OBJECTS $<TARGET_OBJECTS:lopt_cuda_objects>)
  set(LOPT_CUDA_LIBRARIES CUDA::cudart_static stdc++) # the driver itself is looked for at run time
endif()
