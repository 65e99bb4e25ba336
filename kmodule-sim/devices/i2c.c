/* SPDX-License-Identifier: Apache-2.0 */
/* The two-wire adapter and its chips: registers, a 24C02-like EEPROM, an LM75-like sensor. */
#include "devices.h"

#include <linux/errno.h>
#include <linux/i2c-dev.h>

/* drivers/i2c/i2c-dev.c refuses longer messages. */
#define MESSAGE_MAX 8192

#define LM75_SHUTDOWN 0x01
/* Bits 5-7 of the configuration register read 0. */
#define LM75_CONFIGURATION_MASK 0x1f
/* Nine bits of half a degree each, at the top of the word. */
#define LM75_WORD_MASK 0xff80

static uint16_t lm75_word(int milli)
{
	/* Rounds towards minus infinity as two's complement truncation does. */
	int halves = milli >= 0 ? milli / 500 : -((-milli + 499) / 500);

	return (uint16_t)((unsigned int)halves << 7);
}

void postern_i2c_init(struct postern_devices *devices)
{
	__builtin_memset(devices->eeprom.bytes, 0xff, sizeof(devices->eeprom.bytes));
	devices->lm75.hysteresis = lm75_word(75000);
	devices->lm75.limit = lm75_word(80000);
	postern_devices_set_temperature(devices, 25000);
}

void postern_devices_set_temperature(struct postern_devices *devices, int milli)
{
	struct postern_lm75 *lm75 = &devices->lm75;

	if (milli < -55000)
		milli = -55000;
	if (milli > 125000)
		milli = 125000;
	lm75->milli = milli;
	if (!(lm75->configuration & LM75_SHUTDOWN))
		lm75->converted = lm75_word(milli);
}

static void registers_write(struct postern_registers *chip, const uint8_t *bytes, uint16_t length)
{
	if (!length)
		return;
	chip->pointer = bytes[0];
	for (uint16_t index = 1; index < length; index++)
		chip->bytes[chip->pointer++] = bytes[index];
}

static void registers_read(struct postern_registers *chip, uint8_t *bytes, uint16_t length)
{
	for (uint16_t index = 0; index < length; index++)
		bytes[index] = chip->bytes[chip->pointer++];
}

static void eeprom_write(struct postern_eeprom *chip, const uint8_t *bytes, uint16_t length)
{
	if (!length)
		return;
	chip->address = bytes[0];
	for (uint16_t index = 1; index < length; index++) {
		uint8_t column = chip->address % POSTERN_EEPROM_PAGE;

		chip->latch[column] = bytes[index];
		chip->latched |= (uint8_t)(1u << column);
		/* The counter's upper bits stand still while a page is loaded. */
		chip->address = (uint8_t)(chip->address - column + (column + 1) % POSTERN_EEPROM_PAGE);
	}
}

static void eeprom_read(struct postern_eeprom *chip, uint8_t *bytes, uint16_t length)
{
	for (uint16_t index = 0; index < length; index++)
		bytes[index] = chip->bytes[chip->address++];
}

/* Only a STOP programs the page; a repeated START drops the latch. */
static void eeprom_stop(struct postern_eeprom *chip, uint64_t now)
{
	uint8_t page = (uint8_t)(chip->address - chip->address % POSTERN_EEPROM_PAGE);

	if (!chip->latched)
		return;
	for (uint8_t column = 0; column < POSTERN_EEPROM_PAGE; column++) {
		if (chip->latched & (1u << column))
			chip->bytes[page + column] = chip->latch[column];
	}
	chip->latched = 0;
	chip->busy_until = now + POSTERN_EEPROM_WRITE_NS;
}

static void lm75_write(struct postern_lm75 *chip, const uint8_t *bytes, uint16_t length)
{
	uint16_t word;

	if (!length)
		return;
	chip->pointer = bytes[0] & 0x03;
	switch (chip->pointer) {
	case 1:
		if (length < 2)
			return;
		chip->configuration = bytes[1] & LM75_CONFIGURATION_MASK;
		if (!(chip->configuration & LM75_SHUTDOWN))
			chip->converted = lm75_word(chip->milli);
		return;
	case 2:
	case 3:
		if (length < 3)
			return;
		word = (uint16_t)((bytes[1] << 8 | bytes[2]) & LM75_WORD_MASK);
		if (chip->pointer == 2)
			chip->hysteresis = word;
		else
			chip->limit = word;
		return;
	default:
		return; /* the temperature is read-only */
	}
}

static void lm75_read(struct postern_lm75 *chip, uint8_t *bytes, uint16_t length)
{
	const uint16_t words[4] = {chip->converted, 0, chip->hysteresis, chip->limit};

	for (uint16_t index = 0; index < length; index++) {
		if (chip->pointer == 1)
			bytes[index] = chip->configuration;
		else
			bytes[index] = (uint8_t)(index % 2 ? words[chip->pointer] : words[chip->pointer] >> 8);
	}
}

static long message(struct postern_devices *devices, const struct i2c_msg *msg, uint64_t now)
{
	int reading = msg->flags & I2C_M_RD;

	/* START: whatever the EEPROM has loaded without a STOP is lost. */
	devices->eeprom.latched = 0;

	switch (msg->addr) {
	case POSTERN_I2C_REGISTERS:
		if (reading)
			registers_read(&devices->registers, msg->buf, msg->len);
		else
			registers_write(&devices->registers, msg->buf, msg->len);
		return 0;
	case POSTERN_I2C_EEPROM:
		if (now < devices->eeprom.busy_until)
			return -ENXIO;
		if (reading)
			eeprom_read(&devices->eeprom, msg->buf, msg->len);
		else
			eeprom_write(&devices->eeprom, msg->buf, msg->len);
		return 0;
	case POSTERN_I2C_LM75:
		if (reading)
			lm75_read(&devices->lm75, msg->buf, msg->len);
		else
			lm75_write(&devices->lm75, msg->buf, msg->len);
		return 0;
	default:
		return -ENXIO;
	}
}

static long transfer(struct postern_devices *devices, const struct i2c_rdwr_ioctl_data *data, uint64_t now)
{
	long result = 0;

	if (!data->nmsgs || data->nmsgs > I2C_RDWR_IOCTL_MAX_MSGS)
		return -EINVAL;
	for (uint32_t index = 0; index < data->nmsgs; index++) {
		const struct i2c_msg *msg = &data->msgs[index];

		if (msg->len > MESSAGE_MAX || (msg->len && !msg->buf))
			return -EINVAL;
		if (msg->flags & ~I2C_M_RD)
			return -EOPNOTSUPP;
	}
	for (uint32_t index = 0; index < data->nmsgs && !result; index++)
		result = message(devices, &data->msgs[index], now);
	eeprom_stop(&devices->eeprom, now);
	return result ? result : (long)data->nmsgs;
}

long postern_i2c_ioctl(struct postern_devices *devices, unsigned int request, void *argument, uint64_t now)
{
	switch (request) {
	case I2C_FUNCS:
		*(unsigned long *)argument = I2C_FUNC_I2C;
		return 0;
	case I2C_RDWR:
		return transfer(devices, argument, now);
	default:
		return -ENOTTY;
	}
}
