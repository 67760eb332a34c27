/* The configuration keys of lopt train as a text, from the library's own table. */
#ifndef LOPT_CLI_CONFIG_HELP_H
#define LOPT_CLI_CONFIG_HELP_H

void config_help_print(void);

#endif
