/* SPDX-License-Identifier: Apache-2.0 */
/* What is simpler in C than behind Swift: a string that lives for ever. */
#include "postern.h"

static const char *const names[] = {
	[POSTERN_UNDECIDABLE] = "undecidable",
	[POSTERN_NO_SUCH_OBJECT] = "no-such-object",
	[POSTERN_STALE] = "stale",
	[POSTERN_REVOKED] = "revoked",
	[POSTERN_NOT_ASSOCIATED] = "not-associated",
	[POSTERN_EXPIRED] = "expired",
	[POSTERN_OPERATION] = "operation",
	[POSTERN_LIMIT] = "limit",
	[POSTERN_BUSY] = "busy",
	[POSTERN_QUOTA] = "quota",
	[POSTERN_REFUSED] = "refused",
};

const char *postern_reason_name(int reason)
{
	if (reason < 1 || reason > POSTERN_REFUSED)
		return "unknown";
	return names[reason];
}
