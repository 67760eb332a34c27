# Data sets that are built into the library.
set(digits_source ${PROJECT_BINARY_DIR}/generated/digits.c)
add_custom_command(
  OUTPUT ${digits_source}
  COMMAND ${CMAKE_COMMAND} -DCSV=${PROJECT_SOURCE_DIR}/data/digits/digits.csv -DOUT=${digits_source} -P
          ${PROJECT_SOURCE_DIR}/tasks/data/embed_digits.cmake
  DEPENDS ${PROJECT_SOURCE_DIR}/data/digits/digits.csv ${PROJECT_SOURCE_DIR}/tasks/data/embed_digits.cmake
  VERBATIM)
set(LOPT_DATA_SOURCES ${digits_source})
