<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use RuntimeException;
use stdClass;

/** The JSON files that Python and PHP share, read from the copies beside this class. */
final class SharedData
{
    /** @var array<string, stdClass> */
    private static array $read = [];

    /** The file `<name>.json`; it is shared, so leave it as it is. */
    public static function load(string $name): stdClass
    {
        if (!isset(self::$read[$name])) {
            $text = file_get_contents(__DIR__ . '/data/' . $name . '.json');
            $value = $text === false ? null : Json::decode($text);
            if (!$value instanceof stdClass) {
                throw new RuntimeException("the shim's data file $name.json is absent or damaged: copy src again");
            }
            self::$read[$name] = $value;
        }
        return self::$read[$name];
    }
}
