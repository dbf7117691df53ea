<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use BackedEnum;
use JsonException;
use JsonSerializable;
use stdClass;

/**
 * JSON with the same bytes that the gateway's encoder (msgspec) writes.
 *
 * json_encode alone cannot do it: it writes 1.0e+21 where Python's encoder writes 1e21. So texts go through
 * json_encode with pinned flags, and numbers and containers are written here.
 */
final class Json
{
    /** Levels of arrays and objects in what is written; a deeper value is an error. */
    public const MAX_DEPTH = 512;

    /** Levels of arrays and objects in a request's body; a deeper body is malformed. */
    public const MAX_NESTING = 64;

    private const FLAGS = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_LINE_TERMINATORS
        | JSON_THROW_ON_ERROR;

    /** Decimal exponents below and from which a float is written with an exponent. */
    private const LOWEST_PLAIN = -5;
    private const FIRST_BIG = 16;

    /**
     * A list becomes an array, any other PHP array and every object an object. The empty PHP array becomes `[]`;
     * for `{}` pass `new stdClass()`. NaN and the infinities become null.
     *
     * @throws EncodingError for text that is not UTF-8, a value that is not data, and one that is too deep
     */
    public static function encode(mixed $value): string
    {
        $before = ini_set('serialize_precision', '-1');
        try {
            return self::write($value, 0);
        } finally {
            ini_set('serialize_precision', (string) $before);
        }
    }

    /**
     * Objects become stdClass, so that `{}` and `[]` stay apart.
     *
     * @throws JsonException for what is not JSON, is too deep, or holds a number past a double
     */
    public static function decode(string $text, int $depth = self::MAX_NESTING): mixed
    {
        $value = json_decode($text, false, $depth, JSON_THROW_ON_ERROR);
        self::refuseInfinite($value);
        return $value;
    }

    private static function write(mixed $value, int $depth): string
    {
        if ($depth > self::MAX_DEPTH) {
            throw new EncodingError('the value is nested too deeply');
        }
        return match (true) {
            $value === null => 'null',
            is_bool($value) => $value ? 'true' : 'false',
            is_int($value) => (string) $value,
            is_float($value) => self::writeFloat($value),
            is_string($value) => self::writeText($value),
            is_array($value) && array_is_list($value) => self::writeList($value, $depth),
            is_array($value) => self::writeObject($value, $depth),
            $value instanceof Digits => $value->text,
            $value instanceof BackedEnum => self::write($value->value, $depth),
            $value instanceof JsonSerializable => self::write($value->jsonSerialize(), $depth + 1),
            $value instanceof stdClass => self::writeObject((array) $value, $depth),
            default => throw new EncodingError('an envelope cannot hold ' . get_debug_type($value)),
        };
    }

    /** @param list<mixed> $values */
    private static function writeList(array $values, int $depth): string
    {
        $written = [];
        foreach ($values as $value) {
            $written[] = self::write($value, $depth + 1);
        }
        return '[' . implode(',', $written) . ']';
    }

    /** @param array<array-key, mixed> $members */
    private static function writeObject(array $members, int $depth): string
    {
        $written = [];
        foreach ($members as $name => $value) {
            $written[] = self::writeText((string) $name) . ':' . self::write($value, $depth + 1);
        }
        return '{' . implode(',', $written) . '}';
    }

    private static function writeText(string $text): string
    {
        try {
            return json_encode($text, self::FLAGS);
        } catch (JsonException) {
            throw new EncodingError('a text is not UTF-8');
        }
    }

    /** The shortest digits that read back as the same double; their form is that of Python's encoder. */
    private static function writeFloat(float $value): string
    {
        if (!is_finite($value)) {
            return 'null';
        }
        $written = json_encode($value, self::FLAGS);
        $sign = str_starts_with($written, '-') ? '-' : '';
        [$mantissa, $exponent] = [...explode('e', ltrim($written, '-')), '0'];
        [$whole, $fraction] = [...explode('.', $mantissa), ''];
        $digits = ltrim($whole . $fraction, '0');
        // The value is 0.DIGITS times ten to the power of $point.
        $point = strlen($whole) + (int) $exponent - (strlen($whole . $fraction) - strlen($digits));
        $digits = rtrim($digits, '0');
        if ($digits === '') {
            return $sign . '0.0';
        }
        $power = $point - 1;
        if ($power < self::LOWEST_PLAIN || $power >= self::FIRST_BIG) {
            $tail = substr($digits, 1);
            return $sign . $digits[0] . ($tail === '' ? '' : '.' . $tail) . 'e' . $power;
        }
        if ($point <= 0) {
            return $sign . '0.' . str_repeat('0', -$point) . $digits;
        }
        $whole = str_pad(substr($digits, 0, $point), $point, '0');
        $fraction = substr($digits, $point);
        return $sign . $whole . '.' . ($fraction === '' ? '0' : $fraction);
    }

    private static function refuseInfinite(mixed $value): void
    {
        if (is_float($value) && !is_finite($value)) {
            throw new JsonException('a number is out of range');
        }
        if (is_array($value) || $value instanceof stdClass) {
            foreach ((array) $value as $inner) {
                self::refuseInfinite($inner);
            }
        }
    }
}
