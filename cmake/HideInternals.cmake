# Makes one object of the installed archive, in which only the public functions have names that others see: a program may have a memory_alloc of its
# own. It is all or nothing for whoever links it, some 5 MB of code. In: LOPT_ARCHIVE; LOPT_COMPILER and its flags, since it may have to translate what
# -flto left; LOPT_OBJCOPY, LOPT_AR. The build tree's archive keeps all names, for the tests.
set(object ${LOPT_ARCHIVE}.o)
execute_process(COMMAND ${LOPT_COMPILER} ${LOPT_FLAGS} -r -nostdlib -Wl,--whole-archive ${LOPT_ARCHIVE} -Wl,--no-whole-archive -o ${object}
                COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${LOPT_OBJCOPY} --localize-hidden ${object} COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE ${LOPT_ARCHIVE})
execute_process(COMMAND ${LOPT_AR} rcs ${LOPT_ARCHIVE} ${object} COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE ${object})
