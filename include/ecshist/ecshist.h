/* All of the public API. */
#ifndef ECSHIST_ECSHIST_H
#define ECSHIST_ECSHIST_H

#include <ecshist/backup.h>
#include <ecshist/compact.h>
#include <ecshist/cursor.h>
#include <ecshist/error.h>
#include <ecshist/event.h>
#include <ecshist/limits.h>
#include <ecshist/query.h>
#include <ecshist/store.h>
#include <ecshist/verify.h>
#include <ecshist/version.h>

#endif
