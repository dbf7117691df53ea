<?php

declare(strict_types=1);

namespace Voxgate\Shim;

/**
 * One trace: 32 hex digits, carried in and out by the `traceparent` header.
 *
 * Source: W3C Trace Context, Level 1, section 3.2. The rules are those of voxgate_core.trace.
 */
final class Trace
{
    private const VERSION_00_LENGTH = 55;

    private function __construct(
        public readonly string $traceId,
        public readonly string $spanId,
        public readonly ?string $parentId,
        public readonly int $flags,
    ) {
    }

    /** Start a trace of our own, not sampled. */
    public static function start(): self
    {
        return new self(self::hex(16), self::hex(8), null, 0);
    }

    /**
     * Continue the caller's trace where the header is valid, else start one. PHP joins a header that was sent
     * twice with a comma, which no valid value has: which of the two should count?
     */
    public static function fromHeader(?string $traceparent): self
    {
        return self::parse($traceparent ?? '') ?? self::start();
    }

    /** The trace of one header value; null for anything the specification calls invalid. */
    public static function parse(string $value): ?self
    {
        $pattern = '/^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-[^,]*)?$/D';
        if (preg_match($pattern, $value, $found) !== 1) {
            return null;
        }
        [, $version, $traceId, $parentId, $flags] = $found;
        $blank = trim($traceId, '0') === '' || trim($parentId, '0') === '';
        if ($version === 'ff' || $blank || ($version === '00' && strlen($value) !== self::VERSION_00_LENGTH)) {
            return null;
        }
        return new self($traceId, self::hex(8), $parentId, hexdec($flags) & 1);
    }

    /** The header to send on, with this request's span as the parent. */
    public function traceparent(): string
    {
        return sprintf('00-%s-%s-%02x', $this->traceId, $this->spanId, $this->flags);
    }

    /** @param int<1, max> $bytes */
    private static function hex(int $bytes): string
    {
        do {
            $text = bin2hex(random_bytes($bytes));
        } while (trim($text, '0') === '');
        return $text;
    }
}
