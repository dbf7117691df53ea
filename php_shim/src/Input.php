<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use stdClass;

/** Queries and bodies held to the schemas of `data/table.json`, with the same words as in Python. */
final class Input
{
    /** Unknown members that one refusal names; the others are left out of it. */
    private const MAX_UNKNOWN = 8;

    /** Characters of an unknown member's name that a refusal repeats. */
    private const MAX_NAME_SHOWN = 64;

    /**
     * The parameters that the schema knows; others are left alone, as the web does.
     *
     * @throws Refusal invalid_input
     */
    public static function query(string $query, ?stdClass $schema): stdClass
    {
        $given = new stdClass();
        $twice = [];
        foreach (explode('&', $query) as $pair) {
            [$name, $value] = [...explode('=', $pair, 2), ''];
            $name = urldecode($name);
            if (!property_exists($schema->properties ?? new stdClass(), $name)) {
                continue;
            }
            if (property_exists($given, $name)) {
                $twice[$name] = 'was given twice';
            }
            $given->{$name} = urldecode($value);
        }
        self::refuse($twice);
        if ($schema !== null) {
            self::judge($given, $schema);
        }
        return $given;
    }

    /** @throws Refusal invalid_input with what each wrong member must be */
    public static function judge(stdClass $given, stdClass $schema): void
    {
        $faults = [];
        foreach ($schema->required ?? [] as $name) {
            if (!property_exists($given, $name)) {
                $faults[$name] = 'is required';
            }
        }
        foreach ((array) $schema->properties as $name => $rule) {
            if (property_exists($given, $name) && !Schema::fits($rule, $given->{$name})) {
                $faults[$name] = $rule->description;
            }
        }
        if (($schema->additionalProperties ?? true) === false) {
            $names = array_map(strval(...), array_keys((array) $given));
            $unknown = array_diff($names, array_keys((array) $schema->properties));
            foreach (array_slice(array_values($unknown), 0, self::MAX_UNKNOWN) as $name) {
                preg_match('/^.{0,' . self::MAX_NAME_SHOWN . '}/us', $name, $shown);
                $faults[$shown[0]] = 'is not known here';
            }
        }
        self::refuse($faults);
    }

    /** @param array<array-key, string> $faults */
    private static function refuse(array $faults): void
    {
        if ($faults !== []) {
            throw new Refusal('invalid_input', null, $faults);
        }
    }
}
