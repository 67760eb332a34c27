# Makes one object of the installed archive, in which only the public functions have names that others see: a program may have a memory_alloc of its
# own. In: LOPT_ARCHIVE, and the tools LOPT_LINKER, LOPT_OBJCOPY, LOPT_AR. The build tree's archive keeps all names, for the tests.
set(object ${LOPT_ARCHIVE}.o)
execute_process(COMMAND ${LOPT_LINKER} -r --whole-archive ${LOPT_ARCHIVE} -o ${object} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${LOPT_OBJCOPY} --localize-hidden ${object} COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE ${LOPT_ARCHIVE})
execute_process(COMMAND ${LOPT_AR} rcs ${LOPT_ARCHIVE} ${object} COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE ${object})
