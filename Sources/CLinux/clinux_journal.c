/* SPDX-License-Identifier: Apache-2.0 */
#include "clinux_journal.h"

#include <sys/eventfd.h>

int clinux_journal_eventfd(void)
{
	return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}
