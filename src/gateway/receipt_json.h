/* gateway/receipt_json.h - the receipt as JSON, in one go: what a node writes most.
 *
 * The schema's walk over fields and names costs a microsecond for each receipt; a template with gaps a tenth of it. The text is
 * the same, byte for byte.
 *
 * Thread   any. */
#ifndef GATEWAY_RECEIPT_JSON_H
#define GATEWAY_RECEIPT_JSON_H

#include "gateway/gen/rpc_types.h"
#include "gateway/text.h"

/* receipt_json_write: RECEIPT to the end of TEXT, as schema_write_general would.
 * Returns false, and has written nothing, for the rare ones: pending, failed, fallen back, with a sender; many changes; or a
 * text that is near its limit. */
bool receipt_json_write(struct text *text, const struct rpc_receipt *receipt);

#endif
