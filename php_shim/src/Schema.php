<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use LogicException;
use stdClass;

/**
 * The part of JSON Schema (draft 2020-12) that voxgate's schemas use. A keyword that is not known here is an error
 * and never passed over: the rule behind it would not be checked.
 */
final class Schema
{
    private const ANNOTATIONS = ['$schema', '$id', '$defs', 'title', 'description'];
    private const URN = 'urn:voxgate:schema:';

    /** @param stdClass $root the document that `#/…` references point into */
    private function __construct(private readonly stdClass $root)
    {
    }

    /** Whether a value, decoded with objects as stdClass, fits a schema. */
    public static function fits(stdClass|bool $schema, mixed $value): bool
    {
        return is_bool($schema) ? $schema : (new self($schema))->accepts($schema, $value);
    }

    /** The schema shipped as `data/schemas/<name>.json`. */
    public static function named(string $name): stdClass
    {
        return SharedData::load("schemas/$name");
    }

    private function accepts(stdClass|bool $schema, mixed $value): bool
    {
        if (is_bool($schema)) {
            return $schema;
        }
        foreach ((array) $schema as $keyword => $rule) {
            $isRule = !in_array($keyword, self::ANNOTATIONS, true);
            if ($isRule && !$this->holds((string) $keyword, $rule, $schema, $value)) {
                return false;
            }
        }
        return true;
    }

    private function holds(string $keyword, mixed $rule, stdClass $schema, mixed $value): bool
    {
        $number = is_int($value) || is_float($value);
        return match ($keyword) {
            '$ref' => $this->refers($rule, $value),
            'type' => $this->hasType((array) $rule, $value),
            'const' => $this->equal($rule, $value),
            'enum' => $this->countOf($rule, fn (mixed $one): bool => $this->equal($one, $value)) > 0,
            'not' => !$this->accepts($rule, $value),
            'allOf' => $this->countOf($rule, fn ($one): bool => $this->accepts($one, $value)) === count($rule),
            'anyOf' => $this->countOf($rule, fn ($one): bool => $this->accepts($one, $value)) > 0,
            'oneOf' => $this->countOf($rule, fn ($one): bool => $this->accepts($one, $value)) === 1,
            'minimum' => !$number || $value >= $rule,
            'maximum' => !$number || $value <= $rule,
            'minLength' => !is_string($value) || self::length($value) >= $rule,
            'maxLength' => !is_string($value) || self::length($value) <= $rule,
            'pattern' => !is_string($value) || preg_match(self::regex($rule), $value) === 1,
            'maxItems' => !is_array($value) || count($value) <= $rule,
            'items' => !is_array($value)
                || $this->countOf($value, fn (mixed $one): bool => $this->accepts($rule, $one)) === count($value),
            'required' => !$value instanceof stdClass
                || $this->countOf($rule, static fn ($name): bool => property_exists($value, $name)) === count($rule),
            'properties' => !$value instanceof stdClass || $this->propertiesFit($rule, $value),
            'additionalProperties' => !$value instanceof stdClass || $this->othersFit($rule, $schema, $value),
            default => throw new LogicException("the schema keyword $keyword is not known to the shim"),
        };
    }

    private function refers(string $reference, mixed $value): bool
    {
        if (str_starts_with($reference, self::URN)) {
            return self::fits(self::named(substr($reference, strlen(self::URN))), $value);
        }
        $found = $this->root;
        foreach (explode('/', substr($reference, 2)) as $step) {
            $found = $found->{$step} ?? throw new LogicException("the schema has nothing at $reference");
        }
        return $this->accepts($found, $value);
    }

    /** @param array<array-key, mixed> $types */
    private function hasType(array $types, mixed $value): bool
    {
        $whole = is_int($value) || (is_float($value) && is_finite($value) && floor($value) === $value);
        return $this->countOf($types, static fn (string $type): bool => match ($type) {
            'null' => $value === null,
            'boolean' => is_bool($value),
            'integer' => $whole,
            'number' => is_int($value) || is_float($value),
            'string' => is_string($value),
            'array' => is_array($value),
            'object' => $value instanceof stdClass,
            default => throw new LogicException("the schema type $type is not known to the shim"),
        }) > 0;
    }

    private function propertiesFit(stdClass $rules, stdClass $value): bool
    {
        foreach ((array) $rules as $name => $rule) {
            if (property_exists($value, (string) $name) && !$this->accepts($rule, $value->{$name})) {
                return false;
            }
        }
        return true;
    }

    private function othersFit(stdClass|bool $rule, stdClass $schema, stdClass $value): bool
    {
        foreach ((array) $value as $name => $inner) {
            $known = property_exists($schema->properties ?? new stdClass(), (string) $name);
            if (!$known && !$this->accepts($rule, $inner)) {
                return false;
            }
        }
        return true;
    }

    /** JSON's equality for the plain values that our schemas compare with: 1 and 1.0 are the same number. */
    private function equal(mixed $one, mixed $other): bool
    {
        $numbers = (is_int($one) || is_float($one)) && (is_int($other) || is_float($other));
        return $numbers ? $one == $other : $one === $other;
    }

    /** @param array<array-key, mixed> $values */
    private function countOf(array $values, callable $holds): int
    {
        return count(array_filter($values, $holds));
    }

    /** In characters, not bytes, as the specification counts. */
    private static function length(string $text): int
    {
        return (int) preg_match_all('/./su', $text);
    }

    private static function regex(string $pattern): string
    {
        // PCRE writes \x{1234} where JSON Schema, as ECMA 262, writes \u1234.
        $pcre = preg_replace('/\\\\u([0-9A-Fa-f]{4})/', '\\\\x{$1}', $pattern);
        return '~' . str_replace('~', '\\~', (string) $pcre) . '~u';
    }
}
