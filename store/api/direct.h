/* Deployments as JSON without values in between (direct.c). */
#ifndef EHI_API_DIRECT_H
#define EHI_API_DIRECT_H

#include "view/view.h"
#include "json/out.h"

#define API_ALL ((size_t)-1)

/*
 * Item `index` of an answer, or API_ALL of it, with a NUL behind it. false: it is to be written the general way, also
 * where memory is out; the text is of no use then.
 */
bool api_put_answer(const struct ehi_answer *answer, size_t index,
                    const struct ehi_json_style *style, struct ehi_buffer *text);
/* ServiceDeployment and ServiceDeploymentBrief. */
bool api_put_deployment(struct ehi_json_out *o, const struct ehi_deployment *d,
                        const struct ehi_owner *owner);
bool api_put_brief(struct ehi_json_out *o, const struct ehi_deployment *d,
                   const struct ehi_owner *owner);

#endif
