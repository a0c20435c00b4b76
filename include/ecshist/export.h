/* What is exported, and how the compiler is told about it. Stands alone; C11 and C++. */
#ifndef ECSHIST_EXPORT_H
#define ECSHIST_EXPORT_H

#if defined(__GNUC__)
#define ECSHIST_API __attribute__((visibility("default")))
/* The result says whether the call did what it says: it must be looked at. */
#define ECSHIST_CHECKED __attribute__((warn_unused_result))
#define ECSHIST_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#else
#define ECSHIST_API
#define ECSHIST_CHECKED
#define ECSHIST_PRINTF(fmt, first)
#endif

#ifdef __cplusplus
#define ECSHIST_BEGIN extern "C" {
#define ECSHIST_END_DECLS }
#else
#define ECSHIST_BEGIN
#define ECSHIST_END_DECLS
#endif

#endif
