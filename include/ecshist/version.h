/* The version of the header compiled against, and of the library linked. */
#ifndef ECSHIST_VERSION_H
#define ECSHIST_VERSION_H

#include <ecshist/export.h>

#define ECSHIST_VERSION_MAJOR 0
#define ECSHIST_VERSION_MINOR 1
#define ECSHIST_VERSION_PATCH 0
#define ECSHIST_VERSION_STRING "0.1.0"

ECSHIST_BEGIN

/*
 * The version of the library that is linked, as "MAJOR.MINOR.PATCH". A static string. Thread-safe.
 */
ECSHIST_API const char *ecshist_version(void);

ECSHIST_END_DECLS

#endif
