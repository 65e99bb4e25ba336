// SPDX-License-Identifier: GPL-2.0
/*
 * An SPI controller for tests, with one spidev slave: a shift register of four bytes, so that what goes out comes in 32
 * clocks later. Every bit is inverted where the mode has CPOL: a test sees which mode the transfer had. It takes modes 0 to
 * 3, words of 8 bits, and clocks up to 10 MHz.
 */
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/spi/spi.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define spi_alloc_host spi_alloc_master
#endif

static struct platform_device *parent;
static struct spi_controller *controller;
static u8 stage[4];
static unsigned int next;

static int loop_transfer(struct spi_controller *unused, struct spi_device *slave, struct spi_transfer *transfer)
{
	const u8 *out = transfer->tx_buf;
	u8 *in = transfer->rx_buf;
	u8 inverted = slave->mode & SPI_CPOL ? 0xff : 0;
	unsigned int i;
	u8 shifted;

	for (i = 0; i < transfer->len; i++) {
		shifted = stage[next];
		stage[next] = out ? out[i] : 0;
		next = (next + 1) % sizeof(stage);
		if (in)
			in[i] = shifted ^ inverted;
	}
	return 0;
}

static int __init loop_init(void)
{
	/* No slave is called spidev: the driver wants the name of one that exists. */
	struct spi_board_info slave = { .modalias = "dh2228fv", .max_speed_hz = 10000000 };
	int error;

	parent = platform_device_register_simple("postern-spi-loop", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	controller = spi_alloc_host(&parent->dev, 0);
	if (!controller) {
		error = -ENOMEM;
		goto unregister;
	}
	controller->bus_num = -1;
	controller->num_chipselect = 1;
	controller->mode_bits = SPI_CPOL | SPI_CPHA;
	controller->bits_per_word_mask = SPI_BPW_MASK(8);
	controller->max_speed_hz = 10000000;
	controller->transfer_one = loop_transfer;
	error = spi_register_controller(controller);
	if (error) {
		spi_controller_put(controller);
		goto unregister;
	}
	if (spi_new_device(controller, &slave))
		return 0;
	error = -ENODEV;
	spi_unregister_controller(controller);
unregister:
	platform_device_unregister(parent);
	return error;
}

static void __exit loop_exit(void)
{
	spi_unregister_controller(controller);
	platform_device_unregister(parent);
}

module_init(loop_init);
module_exit(loop_exit);

MODULE_DESCRIPTION("SPI controller with a shift register");
MODULE_LICENSE("GPL");
