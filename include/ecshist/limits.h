/*
 * Every bound of the store, in one place. What is over a bound is refused with an error that names
 * the bound; nothing is cut short in silence.
 */
#ifndef ECSHIST_LIMITS_H
#define ECSHIST_LIMITS_H

/* An event as stored (MessagePack, subject and id included), in bytes. */
#define ECSHIST_MAX_EVENT_BYTES 65536u
/* The same for an event that carries a revision's document, or a whole observed deployment. */
#define ECSHIST_MAX_DOCUMENT_EVENT_BYTES 1048576u
/* One append: events, and their bytes as stored. */
#define ECSHIST_MAX_BATCH_EVENTS 10000u
#define ECSHIST_MAX_BATCH_BYTES 16777216u
/* A JSON text that is one event. Larger than the event: escapes and white space take room. */
#define ECSHIST_MAX_JSON_BYTES 8388608u
#define ECSHIST_MAX_ARN_BYTES 1024u
#define ECSHIST_MAX_NAME_BYTES 255u /* cluster, service (ECS: 255) */
#define ECSHIST_MAX_RESOURCE_ID_BYTES                                                              \
    128u                          /* the last part of a deployment's, revision's, task's ARN */
#define ECSHIST_MAX_ID_BYTES 128u /* an event's own id */
/* arrays and objects within each other, the event itself counted */
#define ECSHIST_MAX_NESTING 32u
#define ECSHIST_MAX_PAGE 100u /* maxResults of a list (ECS: 100) */
#define ECSHIST_DEFAULT_PAGE 20u
#define ECSHIST_MAX_DESCRIBE 20u /* ARNs of one describe (ECS: 20) */
/* Lists within one deployment. */
#define ECSHIST_MAX_SOURCE_REVISIONS 100u
#define ECSHIST_MAX_HOOKS 100u
#define ECSHIST_MAX_ALARMS 100u
#define ECSHIST_MAX_PAGE_TOKEN_BYTES 256u
/* A count of tasks, a percentage: what the ECS API's Integer can hold. */
#define ECSHIST_MAX_COUNT 2147483647
/* 9999-12-31T23:59:59.999999Z, in microseconds since the epoch; the least is 0. */
#define ECSHIST_MAX_TIME_US 253402300799999999
/* Segments of the log, in bytes: the size at which one is sealed. */
#define ECSHIST_DEFAULT_SEGMENT_BYTES 67108864u
#define ECSHIST_MIN_SEGMENT_BYTES 16384u
#define ECSHIST_MAX_SEGMENT_BYTES 1073741824u
/* The index's memory map: address space, not memory. It grows at open when the index needs it. */
#define ECSHIST_DEFAULT_MAP_BYTES 17179869184u
#define ECSHIST_MIN_MAP_BYTES 1048576u

#endif
