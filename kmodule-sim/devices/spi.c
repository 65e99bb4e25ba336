/* SPDX-License-Identifier: Apache-2.0 */
/* An SPI device node whose data line in is wired to its data line out. */
#include "devices.h"

#include <linux/errno.h>

void postern_spi_init(struct postern_spi *spi)
{
	spi->bits = 8;
	spi->speed = 1000000;
}

static uint32_t word_bytes(uint8_t bits)
{
	return bits <= 8 ? 1 : bits <= 16 ? 2 : 4;
}

/* All transfers of one request are one chip select. */
static long messages(const struct postern_spi *spi, const struct spi_ioc_transfer *transfers, uint32_t count)
{
	uint32_t total = 0;

	for (uint32_t index = 0; index < count; index++) {
		const struct spi_ioc_transfer *transfer = &transfers[index];
		uint8_t bits = transfer->bits_per_word ? transfer->bits_per_word : spi->bits;

		/* drivers/spi/spidev.c: its buffer bounds the sum; spi.c: whole words only. */
		if (transfer->len > POSTERN_SPI_BUFFER - total)
			return -EMSGSIZE;
		if (bits > 32 || transfer->len % word_bytes(bits))
			return -EINVAL;
		total += transfer->len;
	}
	for (uint32_t index = 0; index < count; index++) {
		const struct spi_ioc_transfer *transfer = &transfers[index];
		void *in = (void *)(uintptr_t)transfer->rx_buf;
		const void *out = (const void *)(uintptr_t)transfer->tx_buf;

		if (!in)
			continue;
		if (out)
			postern_copy(in, out, transfer->len);
		else
			postern_zero(in, transfer->len);
	}
	return (long)total;
}

long postern_spi_ioctl(struct postern_spi *spi, unsigned int request, void *argument)
{
	uint8_t *byte = argument;
	uint32_t *word = argument;

	switch (request) {
	case SPI_IOC_RD_MODE:
		*byte = (uint8_t)spi->mode;
		return 0;
	case SPI_IOC_WR_MODE:
		if (*byte & ~(SPI_MODE_3 | SPI_CS_HIGH | SPI_LSB_FIRST))
			return -EINVAL;
		spi->mode = *byte;
		return 0;
	case SPI_IOC_RD_BITS_PER_WORD:
		*byte = spi->bits;
		return 0;
	case SPI_IOC_WR_BITS_PER_WORD:
		if (*byte > 32)
			return -EINVAL;
		spi->bits = *byte ? *byte : 8;
		return 0;
	case SPI_IOC_RD_MAX_SPEED_HZ:
		*word = spi->speed;
		return 0;
	case SPI_IOC_WR_MAX_SPEED_HZ:
		if (!*word)
			return -EINVAL;
		spi->speed = *word;
		return 0;
	default:
		break;
	}
	/* SPI_IOC_MESSAGE(N) carries its count in the size bits. */
	if (_IOC_TYPE(request) != SPI_IOC_MAGIC || _IOC_NR(request) != 0 || _IOC_DIR(request) != _IOC_WRITE)
		return -ENOTTY;
	if (!_IOC_SIZE(request) || _IOC_SIZE(request) % sizeof(struct spi_ioc_transfer))
		return -EINVAL;
	return messages(spi, argument, _IOC_SIZE(request) / sizeof(struct spi_ioc_transfer));
}
