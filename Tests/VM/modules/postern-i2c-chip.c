// SPDX-License-Identifier: GPL-2.0
/*
 * An i2c adapter for tests that takes messages, with one chip: 256 bytes at address 0x50. A write's first byte is where it
 * goes, and where the next read begins; both go round at the end. Nobody answers at other addresses.
 */
#include <linux/i2c.h>
#include <linux/module.h>

#define CHIP 0x50

static u8 memory[256];
static u8 place;

static int chip_transfer(struct i2c_adapter *unused, struct i2c_msg *messages, int count)
{
	int i, j;

	for (i = 0; i < count; i++) {
		if (messages[i].addr != CHIP || messages[i].flags & I2C_M_TEN)
			return -ENXIO;
		for (j = 0; j < messages[i].len; j++) {
			if (messages[i].flags & I2C_M_RD)
				messages[i].buf[j] = memory[place++];
			else if (j == 0)
				place = messages[i].buf[j];
			else
				memory[place++] = messages[i].buf[j];
		}
	}
	return count;
}

static u32 chip_functions(struct i2c_adapter *unused)
{
	return I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL;
}

static const struct i2c_algorithm algorithm = {
	.master_xfer = chip_transfer,
	.functionality = chip_functions,
};

static struct i2c_adapter adapter = {
	.owner = THIS_MODULE,
	.algo = &algorithm,
	.name = "postern test adapter",
};

static int __init chip_init(void)
{
	return i2c_add_adapter(&adapter);
}

static void __exit chip_exit(void)
{
	i2c_del_adapter(&adapter);
}

module_init(chip_init);
module_exit(chip_exit);

MODULE_DESCRIPTION("i2c adapter with a memory chip");
MODULE_LICENSE("GPL");
