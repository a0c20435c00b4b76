/* SIGINT and SIGTERM as a request: what is under way is finished, then the tool ends. A second one kills. */
#ifndef TOOL_STOP_H
#define TOOL_STOP_H

#include <stdbool.h>

void tool_stop_install(void);
/* Asks as a signal would. Any thread. */
void tool_stop_request(void);
bool tool_stop_asked(void);
/* A descriptor that becomes readable, and stays so, once it is asked: for poll. */
int tool_stop_descriptor(void);
/* 128 and the signal's number, as the shell has it; `code` where no signal came. */
int tool_stop_exit_code(int code);

#endif
