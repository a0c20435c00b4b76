/* The library's own parser a second time, without its fast way and under other names. */
#ifndef EHI_SCAN_PORTABLE
#define EHI_SCAN_PORTABLE
#endif
#define ehi_arn_parse slow_arn_parse
#define ehi_arn_parse_as slow_arn_parse_as
#define ehi_arn_is_sibling slow_arn_is_sibling
#define ehi_arn_same_cluster slow_arn_same_cluster
#define ehi_arn_same_service slow_arn_same_service
#define ehi_arn_service slow_arn_service
#define ehi_arn_cluster slow_arn_cluster
#define ehi_name_valid slow_name_valid
#include "support/slow_arn.h"
/* Behind the names. */
#include "model/arn.c"
