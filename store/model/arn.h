/* ARNs of ECS resources (spec: arn:PARTITION:ecs:REGION:ACCOUNT:TYPE/CLUSTER[/SERVICE][/ID]). */
#ifndef EHI_MODEL_ARN_H
#define EHI_MODEL_ARN_H

#include "base/bytes.h"
#include "base/error.h"

enum ehi_arn_kind {
    EHI_ARN_CLUSTER = 1,
    EHI_ARN_SERVICE = 2,
    EHI_ARN_DEPLOYMENT = 3,
    EHI_ARN_REVISION = 4,
    EHI_ARN_TASK = 5
};

/* The parts borrow from `text`. service and id are empty where the kind has none. */
struct ehi_arn {
    enum ehi_arn_kind kind;
    struct ehi_slice text, partition, region, account, cluster, service, id;
};

/* Room for any ARN made here, with a NUL. */
#define EHI_ARN_BUFFER 1200

/*
 * Parses any of the five kinds. Partition: "aws" or "aws-" and letters, digits, dashes; region:
 * letters, digits, dashes; account: 12 digits. INVALID (the message says what is wrong, no place
 * set); LIMIT where longer than ECSHIST_MAX_ARN_BYTES.
 */
int ehi_arn_parse(struct ehi_slice text, struct ehi_arn *out, struct ecshist_error *error)
    ECSHIST_CHECKED;
/* Parses and wants this kind: "not the ARN of a service revision: …". */
int ehi_arn_parse_as(enum ehi_arn_kind kind, struct ehi_slice text, struct ehi_arn *out,
                     struct ecshist_error *error) ECSHIST_CHECKED;
/*
 * The same of an ARN that begins as another one does, up to its resource's names, which was parsed: only the names are
 * looked at. false: it does not, or there is no other (its text is empty), or it is not valid.
 */
bool ehi_arn_parse_like(const struct ehi_arn *known, struct ehi_slice text, struct ehi_arn *out)
    ECSHIST_CHECKED;
/* A copy of a parsed ARN, its text at `text`, where there is room for it. */
void ehi_arn_keep(const struct ehi_arn *arn, uint8_t *text, struct ehi_arn *out);
/* Same partition, region, account, cluster (and service where both have one). */
bool ehi_arn_same_service(const struct ehi_arn *a, const struct ehi_arn *b);
bool ehi_arn_same_cluster(const struct ehi_arn *a, const struct ehi_arn *b);
/* The service's or cluster's ARN of any ARN that names it, NUL-terminated in buffer. */
struct ehi_slice ehi_arn_service(const struct ehi_arn *arn, char buffer[EHI_ARN_BUFFER]);
struct ehi_slice ehi_arn_cluster(const struct ehi_arn *arn, char buffer[EHI_ARN_BUFFER]);
/* 1 to ECSHIST_MAX_NAME_BYTES of A-Z a-z 0-9 _ - */
bool ehi_name_valid(struct ehi_slice name);

#endif
