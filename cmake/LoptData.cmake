# Data sets that are built into the library: lopt_embed(SCRIPT ARGUMENT FILE OUT): runs tasks/data/SCRIPT on a file of data/.
set(LOPT_DATA_SOURCES "")
function(lopt_embed script argument file out)
  set(source ${PROJECT_SOURCE_DIR}/data/${file})
  set(generated ${PROJECT_BINARY_DIR}/generated/${out})
  add_custom_command(
    OUTPUT ${generated}
    COMMAND ${CMAKE_COMMAND} -D${argument}=${source} -DOUT=${generated} -P ${PROJECT_SOURCE_DIR}/tasks/data/${script}
    DEPENDS ${source} ${PROJECT_SOURCE_DIR}/tasks/data/${script}
    VERBATIM)
  set(LOPT_DATA_SOURCES ${LOPT_DATA_SOURCES} ${generated} PARENT_SCOPE)
endfunction()
lopt_embed(embed_digits.cmake CSV digits/digits.csv digits.c)
lopt_embed(embed_text.cmake TEXT text/pride-and-prejudice.txt text.c)
