/* The words of ServiceDeploymentStatus, for counts by status. */
#ifndef TOOL_STATUS_H
#define TOOL_STATUS_H

/* Statuses are numbered from 1 to this. */
#define TOOL_STATUS_COUNT 9u

const char *tool_status_name(unsigned status);

#endif
