# cmake --install: headers, both libraries, the command, the CMake package (find_package(lopt): lopt::lopt, lopt::lopt_static) and lopt.pc.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/lopt)

set_target_properties(lopt_shared PROPERTIES EXPORT_NAME lopt)
install(TARGETS lopt_shared lopt_static EXPORT loptTargets)
install(DIRECTORY include/lopt DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(TARGET lopt)
  install(TARGETS lopt RUNTIME)
endif()
install(EXPORT loptTargets NAMESPACE lopt:: DESTINATION ${package_dir})
configure_package_config_file(cmake/loptConfig.cmake.in ${PROJECT_BINARY_DIR}/loptConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/loptConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/loptConfig.cmake ${PROJECT_BINARY_DIR}/loptConfigVersion.cmake DESTINATION ${package_dir})

# Static linking needs what the library itself stands on.
set(LOPT_PC_LIBS_PRIVATE "-lm -lpthread")
if(OpenMP_C_FOUND)
  string(APPEND LOPT_PC_LIBS_PRIVATE " ${OpenMP_C_FLAGS}")
endif()
if(LOPT_HAVE_CUDA)
  string(APPEND LOPT_PC_LIBS_PRIVATE " -L${CUDAToolkit_LIBRARY_DIR} -lcudart_static -lstdc++ -ldl -lrt")
endif()
file(RELATIVE_PATH LOPT_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix) # so that the installed tree can be moved
configure_file(cmake/lopt.pc.in ${PROJECT_BINARY_DIR}/lopt.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/lopt.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
