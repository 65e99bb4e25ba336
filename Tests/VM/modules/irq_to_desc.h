/* SPDX-License-Identifier: GPL-2.0 */
/* irq_sim.c is meant to be built in and uses irq_to_desc(), which modules cannot; this is the same descriptor. */
#include <linux/irq.h>
#include <linux/irqdesc.h>

#define irq_to_desc(number) irq_data_to_desc(irq_get_irq_data(number))
