<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use stdClass;

/** Answers a turn by the rules of `data/donna_rules.json`: the first rule that fits. The same turn, the same answer. */
final class Donna
{
    /** @return stdClass with `reply`, `intent` and `suggestions` */
    public static function answer(string $text, ?string $previousIntent): stdClass
    {
        $rules = SharedData::load('donna_rules');
        // Words are of ASCII letters and digits, so that PHP and Python split every text alike.
        preg_match_all('/[a-z0-9]+/', strtolower($text), $found);
        $line = ' ' . implode(' ', $found[0]) . ' ';
        foreach ($rules->rules as $rule) {
            if (isset($rule->after) && !in_array($previousIntent, $rule->after, true)) {
                continue;
            }
            foreach ($rule->phrases as $phrase) {
                $at = strpos($line, " $phrase ");
                if ($at === false) {
                    continue;
                }
                $word = explode(' ', substr($line, $at + strlen($phrase) + 2))[0];
                if (!($rule->capture ?? false)) {
                    return self::said($rule, $rule->reply);
                }
                if ($word !== '') {
                    return self::said($rule, str_replace('{word}', ucfirst($word), $rule->reply));
                }
            }
        }
        return self::said($rules->otherwise, $rules->otherwise->reply);
    }

    private static function said(stdClass $rule, string $reply): stdClass
    {
        return (object) ['reply' => $reply, 'intent' => $rule->intent, 'suggestions' => $rule->suggestions];
    }
}
