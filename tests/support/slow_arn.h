/* The ARN parser as machines without SSE2 have it. */
#ifndef SUPPORT_SLOW_ARN_H
#define SUPPORT_SLOW_ARN_H

#include "model/arn.h"

int slow_arn_parse(struct ehi_slice text, struct ehi_arn *out, struct ecshist_error *error);
int slow_arn_parse_as(enum ehi_arn_kind kind, struct ehi_slice text, struct ehi_arn *out,
                      struct ecshist_error *error);

#endif
